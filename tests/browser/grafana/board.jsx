// The panels of a Grafana dashboard, drawn by Grafana's own components. `draw` takes the dashboard, and by panel what a Prometheus
// has answered to each of its queries (`query_range`).

import { flushSync } from 'react-dom';
import { createRoot } from 'react-dom/client';
import {
  applyFieldOverrides, createDataFrame, createTheme, dateTime, FieldType, getFieldDisplayValues, ThemeContext,
} from '@grafana/data';
import { initPluginTranslations } from '@grafana/i18n';
import { BigValue, GlobalStyles, PanelChrome, TimeSeries } from '@grafana/ui';

const COLUMNS = 24; // of a dashboard
const ROW = 30; // pixels
const GAP = 8;
const LEGEND = { showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [] };
const LINES = {
  drawStyle: 'line', lineInterpolation: 'linear', lineWidth: 1, fillOpacity: 0, gradientMode: 'none', showPoints: 'auto', pointSize: 5,
  spanNulls: false, axisPlacement: 'auto', stacking: { mode: 'none', group: 'A' }, scaleDistribution: { type: 'linear' },
  thresholdsStyle: { mode: 'off' }, hideFrom: { legend: false, tooltip: false, viz: false },
};

const named = (legend, labels) => legend.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => labels[label] ?? '');

function frames(panel, answers, theme) {
  const { custom, ...standard } = panel.fieldConfig.defaults;
  const color = { mode: panel.type === 'stat' ? 'thresholds' : 'palette-classic' };
  const data = panel.targets.flatMap(({ refId, legendFormat }, number) =>
    answers[number].map(({ metric, values }) => createDataFrame({
      refId,
      fields: [
        { name: 'Time', type: FieldType.time, values: values.map(([time]) => time * 1000) },
        {
          name: 'Value', type: FieldType.number, labels: metric, values: values.map(([, value]) => Number(value)),
          config: { color, ...standard, custom: { ...LINES, ...custom }, displayNameFromDS: named(legendFormat, metric) },
        },
      ],
    })));
  return applyFieldOverrides({
    data, fieldConfig: { defaults: {}, overrides: [] }, theme, timeZone: 'utc', replaceVariables: (text) => text,
  });
}

function Stat({ data, panel, width, height, theme }) {
  const reduceOptions = { calcs: ['lastNotNull'], values: false };
  const values = getFieldDisplayValues({
    data, theme, reduceOptions, fieldConfig: { defaults: {}, overrides: [] }, replaceVariables: (text) => text, sparkline: true, timeZone: 'utc',
  });
  return values.map((value, number) => (
    <BigValue key={number} value={value.display} sparkline={value.sparkline} colorMode="value" graphMode="area" justifyMode="auto"
      textMode={values.length > 1 ? 'value_and_name' : 'value'} width={width / values.length} height={height} theme={theme} />
  ));
}

function Panel({ panel, answers, range, theme, width }) {
  const { x, y, w, h } = panel.gridPos;
  const column = (width + GAP) / COLUMNS;
  const size = { width: w * column - GAP, height: h * (ROW + GAP) - GAP };
  const data = frames(panel, answers, theme);
  const draw = (inner, high) => panel.type === 'stat'
    ? <Stat data={data} panel={panel} width={inner} height={high} theme={theme} />
    : <TimeSeries frames={data} timeRange={range} timeZone="utc" width={inner} height={high} legend={LEGEND} />;
  return (
    <div style={{ position: 'absolute', left: x * column, top: y * (ROW + GAP), ...size }}>
      <PanelChrome title={panel.title} description={panel.description} {...size}>{draw}</PanelChrome>
    </div>
  );
}

window.draw = async ({ dashboard, answers, from, to }) => {
  await initPluginTranslations('dashboard');
  const theme = createTheme({ colors: { mode: 'light' } });
  const range = { from: dateTime(from * 1000), to: dateTime(to * 1000), raw: { from: 'now-1h', to: 'now' } };
  const main = document.querySelector('main');
  const bottom = Math.max(...dashboard.panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  Object.assign(main.style, { position: 'relative', height: `${bottom * (ROW + GAP) - GAP}px` });
  const root = createRoot(main);
  const styled = (panels) => <ThemeContext.Provider value={theme}><GlobalStyles />{panels}</ThemeContext.Provider>;
  flushSync(() => root.render(styled(null)));
  await Promise.all([400, 500].map((weight) => document.fonts.load(`${weight} 12px Inter`))); // a canvas waits for no font
  root.render(styled(dashboard.panels.map((panel) => (
    <Panel key={panel.id} panel={panel} answers={answers[panel.id]} range={range} theme={theme} width={main.clientWidth} />
  ))));
};
