/*
 * The theme, set before the first paint, which is why this is no module. `data-theme` on the root
 * overrules what the system prefers.
 */
(function () {
  'use strict';

  const KEY = 'deployd:theme';
  const NAMES = { '': 'as the system', light: 'light', dark: 'dark' };

  /** Read the choice; a browser that keeps nothing for this page has none. */
  function chosen() {
    try {
      return localStorage.getItem(KEY) || '';
    } catch (_) {
      return '';
    }
  }

  function keep(theme) {
    try {
      localStorage.setItem(KEY, theme);
    } catch (_) {
      // It then lasts as long as the page.
    }
  }

  function show(theme) {
    document.documentElement.dataset.theme = theme in NAMES ? theme : '';
    const button = document.getElementById('theme');
    if (button) button.textContent = `Theme: ${NAMES[theme] || NAMES['']}`;
  }

  show(chosen());
  document.addEventListener('DOMContentLoaded', () => {
    show(document.documentElement.dataset.theme);
    document.getElementById('theme').addEventListener('click', () => {
      const all = Object.keys(NAMES);
      const next = all[(all.indexOf(document.documentElement.dataset.theme) + 1) % all.length];
      keep(next);
      show(next);
    });
  });
})();
