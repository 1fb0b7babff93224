'use strict';
// Runs before the first paint: marks the page as scripted and applies the chosen colours.
{
  const root = document.documentElement;
  const dark = [...document.styleSheets[0].cssRules].find((rule) => rule.conditionText?.includes('dark'));
  const prefers = matchMedia('(prefers-color-scheme: dark)');
  let chosen = null;
  try { chosen = localStorage.getItem('theme'); } catch { /* some browsers store nothing for local files */ }

  const colour = () => {
    root.dataset.theme = chosen ?? (prefers.matches ? 'dark' : 'light');
    dark.media.mediaText = root.dataset.theme === 'dark' ? 'screen' : 'not all';
  };
  prefers.addEventListener('change', colour);
  addEventListener('click', (event) => {
    if (!event.target.closest('#theme')) return;
    chosen = root.dataset.theme === 'dark' ? 'light' : 'dark';
    try { localStorage.setItem('theme', chosen); } catch { /* then the choice lasts as long as the page */ }
    colour();
  });
  colour();
  root.classList.add('scripted');
}
