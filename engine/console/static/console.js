// Keeps what the reader has done to a part of a page, when the news replace it: what is unfolded, scrolled, and has the focus.
"use strict";
(() => {
  const KEPT = "details, summary, a, button, pre, .scroll";
  let kept = [];

  // By what an element is found again: what it is in, and what it is there.
  function key(element) {
    const root = element.parentElement.closest("[id]") || document.body;
    const name = `${element.tagName} ${element.getAttribute("href") || ""}`;
    const same = [...root.querySelectorAll(element.tagName)].filter((each) => name === `${each.tagName} ${each.getAttribute("href") || ""}`);
    return { root: root.id, name, index: same.indexOf(element) };
  }

  function find({ root, name, index }) {
    const within = document.getElementById(root) || document.body;
    const same = [...within.querySelectorAll(name.split(" ")[0])];
    return same.filter((each) => name === `${each.tagName} ${each.getAttribute("href") || ""}`)[index];
  }

  document.addEventListener("htmx:sseBeforeMessage", () => {
    kept = [...document.querySelectorAll(`main :is(${KEPT})`)]
      .map((element) => ({ element, open: element.open === true, left: element.scrollLeft, top: element.scrollTop,
        focus: element === document.activeElement }))
      .filter(({ open, left, top, focus }) => open || left || top || focus)
      .map((each) => ({ ...each, key: key(each.element) }));
  });

  document.addEventListener("htmx:sseMessage", () => {
    for (const { element, key: where, open, left, top, focus } of kept) {
      const now = element.isConnected ? null : find(where);
      if (!now) continue;
      if (open) now.open = true;
      now.scrollTo(left, top);
      if (focus) now.focus({ preventScroll: true });
    }
    kept = [];
  });
})();
