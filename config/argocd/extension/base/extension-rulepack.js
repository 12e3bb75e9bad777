/*
 * The extension of Argo CD's UI that shows what Rulepack's rules do: a tab "Rules" on resources, and a status panel on Applications.
 *
 * Argo CD serves each file of this name below /tmp/extensions. Plain React from Argo CD's own globals (16 up to Argo CD 3.2, 19 since):
 * no build step, no package. All texts are children of elements, so that React escapes them.
 */
((window) => {
  'use strict';

  /** The extension's name in argocd-cm: `extension.config.<NAME>`. */
  const NAME = 'rulepack';
  /** On which resources the tab is: globs of a group and a kind. */
  const TAB_ON = [['**', '*']];
  /** What rule packs write on an Application, shown in the status panel as it stands. */
  const SUMMARIES = [['mlops.dev/notebook-summary', 'Notebooks'], ['mlops.dev/model-summary', 'Models']];
  /** Milliseconds between two requests of what is shown. */
  const REFRESH = 10000;
  /** Only one replica of the operator knows: how often another one is asked for, and after how many milliseconds. */
  const TRIES = 15, PAUSE = 100;
  const CALM = '#18be94', ALERT = '#e96d76', PENDING = '#f4c030', PALE = '#8fa4b1';
  const COLOURS = {fires: CALM, done: CALM, audited: PALE, skipped: PALE, waiting: PENDING, retrying: PENDING, 'has no answer': PENDING};

  const React = window.React;
  const h = React.createElement;

  const sleep = (milliseconds) => new Promise((resolve) => window.setTimeout(resolve, milliseconds));

  /** Return what the operator says; throw an Error with a message for people. */
  async function ask(application, path, signal) {
    const {name, namespace} = application.metadata;
    const headers = {
      'Argocd-Application-Name': `${namespace}:${name}`,
      'Argocd-Project-Name': (application.spec && application.spec.project) || 'default',
    };
    const url = new URL(`extensions/${NAME}/extension/${path}`, window.document.baseURI);
    for (let left = TRIES; ; left -= 1) {
      const response = await window.fetch(url, {headers, signal, credentials: 'same-origin'});
      const text = await response.text();
      let data = null;
      try {
        data = JSON.parse(text);
      } catch {
        // Argo CD itself answers in plain text
      }
      if (response.ok && data) {
        return data;
      }
      if (!(data && data.standby && left > 0)) {
        throw new Error(explained(response.status, data, text));
      }
      await sleep(PAUSE);
    }
  }

  function explained(status, data, text) {
    if (data && data.error) {
      return String(data.error);
    }
    if (status === 401) {
      return `Argo CD refuses it. You need "extensions, invoke, ${NAME}, allow" in its RBAC policy.`;
    }
    if (status === 404) {
      return `Argo CD does not know the extension "${NAME}": argocd-cm has no extension.config.${NAME}, or proxy extensions are off.`;
    }
    if (status === 502) {
      return 'Argo CD cannot reach the operator, or does not trust its certificate.';
    }
    return `${status}: ${text.slice(0, 300)}`;
  }

  /** Return {data, error} of a path, asked for again from time to time; what was known stays while that is under way. */
  function useAnswer(application, path) {
    const about = `${application.metadata.namespace}/${application.metadata.name}/${path}`;
    const [state, setState] = React.useState({about: ''});
    React.useEffect(() => {
      const abort = new window.AbortController();
      let timer = 0;
      const next = () => {
        timer = window.setTimeout(() => (window.document.hidden ? next() : load()), REFRESH);
      };
      const take = (found) => {
        if (!abort.signal.aborted) {
          setState((before) => ({data: before.about === about ? before.data : undefined, error: '', ...found, about}));
          next();
        }
      };
      const load = () => ask(application, path, abort.signal).then((data) => take({data}), (error) => take({error: error.message}));
      load();
      return () => {
        abort.abort();
        window.clearTimeout(timer);
      };
    }, [about]);
    return state.about === about ? state : {};
  }

  const plural = (count, noun) => `${count} ${noun}${count === 1 ? '' : 's'}`;
  const time = (seconds) => new Date(seconds * 1000).toLocaleString();
  const list = (values, render) => values && values.length > 0 && h('ul', {style: {margin: '4px 0 4px 20px'}}, values.map(render));
  const code = (text) => h('code', {style: {overflowWrap: 'anywhere', whiteSpace: 'pre-wrap'}}, h('bdi', null, text));
  const names = (value) => h(React.Fragment, null, code(value[0]), ' = ', code(value[1]));

  function badge(text, colour) {
    const border = {borderStyle: 'solid', borderColor: colour, borderWidth: '1px 1px 1px 6px', borderRadius: 3};
    return h('span', {style: {...border, padding: '0 6px', fontSize: '0.85em', whiteSpace: 'nowrap'}}, text);
  }

  function changes(diff) {
    if (!diff || diff.length === 0) {
      return null;
    }
    const style = {whiteSpace: 'pre-wrap', overflowWrap: 'anywhere', margin: '4px 0', maxHeight: 300, overflowY: 'auto'};
    return h('details', null, h('summary', null, plural(diff.length, 'change')), h('pre', {style, tabIndex: 0}, diff.join('\n')));
  }

  function Problem({text}) {
    return h('div', {role: 'alert', style: {borderLeft: `6px solid ${ALERT}`, padding: '6px 10px', margin: '6px 0'}}, h('bdi', null, text));
  }

  function Condition({clause}) {
    return h('li', null,
      h('span', {'aria-hidden': true}, `${clause.mark} `), code(clause.source), ` ${clause.word}`,
      clause.doubt && h('div', null, h('bdi', null, clause.doubt)),
      list(clause.values, (value, index) => h('li', {key: index}, names(value))));
  }

  function Act({act, off}) {
    const would = act.planned ? (off ? 'Would do, were it not Disabled: ' : 'Would do: ') : '';
    return h('li', null, would, code(act.action), act.item && [' ', h('bdi', {key: 'item'}, act.item)], ' ', h('bdi', null, act.what),
      act.detail && [': ', h('bdi', {key: 'detail'}, act.detail)], changes(act.diff));
  }

  function Rule({rule}) {
    const style = {borderTop: '1px solid rgba(128, 128, 128, 0.35)', padding: '8px 0'};
    const record = rule.keyed ? [['On record: ', rule.record ? code(rule.record) : 'nothing']] : [];
    return h('article', {style},
      h('h5', {style: {margin: 0, fontWeight: 600}}, h('bdi', null, rule.name), ' ', badge(rule.verdict, COLOURS[rule.verdict] || PALE),
        rule.mode !== 'Enforce' && [' ', h('span', {key: 'mode'}, badge(rule.mode, PALE))]),
      rule.description && h('small', null, h('bdi', null, rule.description)),
      rule.skipped && h('p', {style: {margin: '4px 0'}}, rule.result === 'unknown' ? 'It has no answer: ' : 'It does not fire: ',
        h('bdi', null, rule.skipped)),
      list(rule.waiting, (text, index) => h('li', {key: index}, h('strong', null, 'Waits: '), h('bdi', null, text))),
      rule.clauses.length > 0 && h('ol', {'aria-label': 'Conditions', style: {margin: '4px 0 4px 20px', listStyle: 'none'}},
        rule.clauses.map((clause, index) => h(Condition, {key: index, clause}))),
      list([...record, ...rule.timing.map((text) => [h('bdi', null, text)])], (parts, index) => h('li', {key: index}, ...parts)),
      list(rule.acts, (act, index) => h(Act, {key: index, act, off: rule.off})),
      rule.more > 0 && h('p', null, `and ${rule.more} more`));
  }

  function Pack({pack}) {
    return h('section', {style: {marginBottom: 16}},
      h('h4', {style: {margin: '12px 0 4px'}}, h('bdi', null, pack.name), ' ', pack.mode !== 'Enforce' && badge(pack.mode, PALE)),
      pack.selectors.filter((each) => !each[2]).map((each, index) =>
        h('p', {key: index}, `Its ${each[0]} selector does not pick this object, so no rule sees it. `, each[1] && code(each[1]))),
      pack.rules.map((rule) => h(Rule, {key: rule.name, rule})));
  }

  function Firing({firing}) {
    return h('li', {style: {marginBottom: 8}},
      h('bdi', null, `${firing.pack}/${firing.rule}`), ' ', badge(firing.result, firing.bad ? ALERT : COLOURS[firing.result] || PALE),
      ` ${time(firing.began)}`, firing.mode === 'Audit' && ', in Audit',
      list(firing.steps, (step, index) => h('li', {key: index},
        code(step.action), step.item && [' ', h('bdi', {key: 'item'}, step.item)], ` ${step.result}`,
        step.attempts > 1 && ` after ${step.attempts} attempts`,
        step.hidden ? ': an object outside this Application' : step.what && [': ', h('bdi', {key: 'what'}, step.what)],
        step.detail && [': ', h('bdi', {key: 'detail'}, step.detail)], changes(step.diff))),
      firing.more > 0 && `and ${firing.more} more`);
  }

  function Answered({data}) {
    if (!data.watched) {
      return h('p', null, 'No rule pack watches objects of this kind.');
    }
    if (data.secret) {
      return h('p', null, 'What rules make of a Secret is not shown here.');
    }
    return h(React.Fragment, null,
      !data.conditions && h('p', null, 'Conditions are not shown: the account of this extension may not see rule packs.'),
      data.packs.map((pack) => h(Pack, {key: pack.name, pack})),
      data.more > 0 && h('p', null, `And ${plural(data.more, 'more rule')}.`),
      h('h4', null, 'What rules did lately'),
      data.firings.length === 0 ? h('p', null, 'Nothing since the operator began.')
        : h('ul', {'aria-label': 'Firings', style: {listStyle: 'none', margin: 0}}, data.firings.map((firing, index) => h(Firing, {key: index, firing}))));
  }

  function Shown({application, path, content}) {
    const {data, error} = useAnswer(application, path);
    return h('div', {style: {padding: 20, overflowWrap: 'anywhere'}},
      error && h(Problem, {text: error}),
      data ? h(content, {data}) : !error && h('p', {role: 'status'}, 'Loading …'));
  }

  /** The tab. Argo CD gives an Application no kind of its own, and shows the tab on ApplicationSets too. */
  function Rules({application, resource}) {
    if (!application || !application.metadata || !resource || !resource.metadata || (application.spec && application.spec.generators)) {
      return h('p', {style: {padding: 20}}, 'Rules are shown of the resources of an Application.');
    }
    const own = resource === application || !resource.kind;
    const [group, kind] = own ? ['argoproj.io', 'Application'] : [(resource.apiVersion || '').split('/').slice(0, -1).join('/'), resource.kind];
    const query = new URLSearchParams({group, kind, namespace: resource.metadata.namespace || '', name: resource.metadata.name});
    return h(Shown, {application, path: `object?${query}`, content: Answered});
  }

  function totals(data) {
    const sum = (field) => data.rules.reduce((total, rule) => total + rule[field], 0);
    return {acted: sum('acted'), audited: sum('audited'), failed: sum('failed'), waiting: sum('waiting'), suspended: data.suspended.length};
  }

  /** The status panel. Argo CD's page ends with whatever is thrown here. */
  function Panel({application, openFlyout}) {
    const annotations = (application.metadata && application.metadata.annotations) || {};
    const {data, error} = useAnswer(application, 'summary');
    const total = data && totals(data);
    const said = total ? [
      [total.failed, 'failed', ALERT], [total.waiting, 'waiting', PENDING], [total.suspended, 'suspended', ALERT], [total.acted, 'acted', CALM],
      [total.audited, 'would have acted', PALE],
    ].filter((each) => each[0] > 0) : [];
    return h('div', {className: 'application-status-panel__item'},
      h('div', {style: {display: 'flex', alignItems: 'center'}},
        h('span', {style: {fontSize: '12px', fontWeight: 600, minHeight: '18px'}}, 'RULES'),
        openFlyout && h('button', {className: 'argo-button application-status-panel__more-button', 'aria-label': 'What rules do', onClick: openFlyout},
          h('i', {className: 'fa fa-ellipsis-h', 'aria-hidden': true}))),
      SUMMARIES.filter(([key]) => annotations[key]).map(([key, title]) =>
        h('div', {key}, `${title}: `, h('bdi', null, String(annotations[key]).slice(0, 200)))),
      said.map(([count, word, colour]) => h('div', {key: word}, badge(`${count} ${word}`, colour))),
      total && said.length === 0 && h('div', null, 'Nothing to report'),
      error && h('div', {title: error}, badge('not known', PENDING)));
  }

  function Counted({data}) {
    const cell = {padding: '2px 12px 2px 0', textAlign: 'left'};
    const columns = [['acted', 'Acted'], ['audited', 'Would have'], ['failed', 'Failed'], ['waiting', 'Waiting']];
    return h(React.Fragment, null,
      h('p', null, `Of ${plural(data.objects, 'resource')}: for how many the last firing of each rule did so, since the operator began.`,
        data.shard && ` Only what ${data.shard} knows.`),
      data.rules.length === 0 ? h('p', null, 'No rule has acted or waits.')
        : h('table', null,
          h('thead', null, h('tr', null, h('th', {style: cell}, 'Rule'), columns.map(([, title]) => h('th', {key: title, style: cell}, title)))),
          h('tbody', null, data.rules.map((rule) => h('tr', {key: `${rule.pack}/${rule.rule}`},
            h('td', {style: cell}, h('bdi', null, `${rule.pack}/${rule.rule}`)),
            columns.map(([field]) => h('td', {key: field, style: cell}, rule[field] || '')))))),
      data.waiting.length > 0 && h('h4', null, 'What waits'),
      list(data.waiting, (each, index) => h('li', {key: index},
        h('bdi', null, `${each.pack}/${each.rule}`), ` with ${plural(each.items, 'item')} for ${each.obstacle} since ${time(each.since)}, such as `,
        h('bdi', null, each.example), each.reason && [': ', h('bdi', {key: 'reason'}, each.reason)])),
      data.suspended.length > 0 && h('h4', null, 'What is suspended'),
      list(data.suspended, (each, index) => h('li', {key: index}, h('bdi', null, each.pack), ' in ', h('bdi', null, each.namespace), ` since ${time(each.since)}`)));
  }

  function Flyout({application}) {
    return h(Shown, {application, path: 'summary', content: Counted});
  }

  for (const [group, kind] of TAB_ON) {
    window.extensionsAPI.registerResourceExtension(Rules, group, kind, 'Rules', {icon: 'fa-gavel'});
  }
  window.extensionsAPI.registerStatusPanelExtension(Panel, 'Rules', NAME, Flyout);
})(window);
