'use strict';
(() => {
  const $ = (id) => document.getElementById(id);
  const root = document.documentElement;
  const { counts, steps } = JSON.parse($('data').textContent);
  const sections = [...$('text').children];
  const media = $('media');
  const position = $('position');
  const length = Number(position.max);

  // --- words and their times: word `n` is the n-th in the text, `order` sorts them by time ---
  let sum = 0;
  const starts = Float64Array.from(steps, (step) => (sum += step) / 100);
  sum = 0;
  const firsts = Uint32Array.from(counts, (count) => (sum += count) - count);
  const order = Uint32Array.from(starts.keys()).sort((a, b) => starts[a] - starts[b] || a - b);

  // The last index whose value is <= x, or -1.
  function last(count, value, x) {
    let low = 0, high = count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (value(middle) <= x) low = middle + 1; else high = middle;
    }
    return low - 1;
  }
  const prose = (section) => section.lastElementChild;
  const wordsIn = (section) => prose(section).getElementsByTagName('a');

  function elementOf(n) {
    const section = last(firsts.length, (i) => firsts[i], n);
    return wordsIn(sections[section])[n - firsts[section]];
  }

  function startOf(element) {
    const section = element.closest('section');
    return starts[firsts[sections.indexOf(section)] + [...wordsIn(section)].indexOf(element)];
  }

  function clock(seconds) {
    const [h, m, s] = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map((x) => String(Math.floor(x)));
    return h > 0 ? `${h}:${m.padStart(2, '0')}:${s.padStart(2, '0')}` : `${m}:${s.padStart(2, '0')}`;
  }

  // --- playback position ---
  let now = -1, word = null;
  const line = $('place');
  const top = () => $('bar').offsetHeight;
  const still = matchMedia('(prefers-reduced-motion: reduce)');
  const inView = (box) => box.bottom > top() && box.top < innerHeight;

  // Sections never shown have an estimated height, so a far jump is checked and corrected for some frames.
  let jumps = 0;
  async function reveal(target, element = target) {
    const mine = ++jumps;
    for (let frames = 0, far = false; frames < 12 && mine === jumps; frames++) {
      const box = target.getBoundingClientRect();
      const seen = box.top >= top() + 24 && box.bottom <= innerHeight - 72;
      far ||= box.height === 0 || Math.abs(box.top) > 2 * innerHeight;
      if (!seen) element.scrollIntoView({ block: 'center', behavior: far || still.matches ? 'instant' : 'smooth' });
      if (!far) return;
      await new Promise(requestAnimationFrame);
    }
  }

  // Follows playback only while the previous word is in view, so that it never interrupts a reader who scrolled away.
  function show(t, always) {
    position.value = t;
    if ($('now').textContent !== clock(t)) {
      $('now').textContent = clock(t);
      position.setAttribute('aria-valuetext', clock(t));
    }
    line.style.left = `calc(${(100 * t) / length}% - 1px)`;
    line.hidden = false;
    const found = order[Math.max(0, last(order.length, (i) => starts[order[i]], t + 0.005))];
    if (found === undefined || (found === now && !always)) return;
    const follows = always || !word || inView(word.getBoundingClientRect());
    word?.classList.remove('now');
    word?.closest('section').classList.remove('here');
    now = found;
    word = elementOf(now);
    word.classList.add('now');
    word.closest('section').classList.add('here');
    if (follows) reveal(word);
  }

  function look() {
    $('back').hidden = !word || !root.classList.contains('plays') || inView(word.getBoundingClientRect());
  }

  // A word is played from a little before it, so that its beginning is heard; meanwhile it is the one that is marked.
  const LEAD_SECONDS = 0.1;
  let wanted = 0;
  const place = () => {
    const t = media.currentTime;
    return t < wanted && t > wanted - 2 * LEAD_SECONDS ? wanted : t;
  };

  function go(t, play) {
    t = Math.min(Math.max(t, 0), length);
    wanted = play ? t : 0;
    if (media) media.currentTime = play ? Math.max(0, t - LEAD_SECONDS) : t;
    show(t, true);
    if (play) media?.play().catch(() => {});
  }

  let frame;
  function tick() {
    show(place());
    look();
    frame = requestAnimationFrame(tick);
  }

  function playing(on) {
    root.classList.toggle('plays', on);
    $('play').setAttribute('aria-label', on ? $('play').dataset.pause : $('play').dataset.play);
    cancelAnimationFrame(frame);
    if (on) tick(); else look();
  }

  function toggle() {
    if (media.paused) media.play().catch(() => {}); else media.pause();
  }

  function mute() {
    $('mute').hidden = false;
    media.hidden = true;
    root.classList.remove('heard');
  }

  if (media) {
    if (media.tagName === 'AUDIO') media.controls = false;
    media.addEventListener('play', () => playing(true));
    media.addEventListener('pause', () => playing(false));
    media.addEventListener('seeked', () => { if (media.paused) show(place()); });
    media.addEventListener('loadedmetadata', () => media.classList.toggle('sound', !media.videoWidth));
    media.addEventListener('error', mute);
    if (media.error) mute();
    $('play').addEventListener('click', toggle);
    $('speed').addEventListener('change', () => { media.playbackRate = Number($('speed').value); });
    position.addEventListener('input', () => go(Number(position.value)));
  }

  $('text').addEventListener('click', (event) => {
    const a = event.target.closest('a');
    if (!a || !getSelection().isCollapsed) return;
    go(a.hash ? Number(a.hash.slice(3)) : startOf(a), true);
  });
  $('timeline').addEventListener('click', (event) => {
    const box = event.target.closest('svg')?.getBoundingClientRect();
    if (box) go((length * (event.clientX - box.left)) / box.width);
  });
  $('back').addEventListener('click', () => show(place(), true));
  addEventListener('scroll', look, { passive: true });

  // --- search ---
  const find = $('find');
  let texts, searched = '', hits = [], hit = -1, timer;

  function rangeOf([section, from, to]) {
    const walker = document.createTreeWalker(prose(section), NodeFilter.SHOW_TEXT);
    const range = new Range();
    for (let at = 0, node = walker.nextNode(); node; at += node.length, node = walker.nextNode()) {
      if (at <= from) range.setStart(node, Math.min(from - at, node.length));
      if (to <= at + node.length) {
        range.setEnd(node, to - at);
        break;
      }
    }
    return range;
  }

  const ends = (range) => [range.startContainer, range.startOffset, range.endContainer, range.endOffset];
  function paint(name, ranges) {
    if (window.Highlight) CSS.highlights.set(name, new Highlight(...ranges));
    else if (name === 'hit' && ranges.length) getSelection().setBaseAndExtent(...ends(ranges[0]));
  }

  function search() {
    clearTimeout(timer);
    searched = find.value;
    const query = searched.trim().replace(/[.*+?^${}()|[\]\\/]/g, '\\$&').replace(/\s+/g, '\\s+');
    texts ??= sections.map((section) => prose(section).textContent);
    hits = !query ? [] : sections.flatMap((section, i) =>
      [...texts[i].matchAll(new RegExp(query, 'giu'))].map((m) => [section, m.index, m.index + m[0].length]));
    paint('hits', hits.slice(0, 2000).map(rangeOf));
    hit = -1;
    jump(1);
  }

  function jump(by) {
    hit = hits.length ? (hit + by + hits.length) % hits.length : -1;
    $('hits').textContent = hits.length ? `${hit + 1} / ${hits.length}` : searched.trim() ? $('hits').dataset.none : '';
    const range = hits.length ? rangeOf(hits[hit]) : null;
    paint('hit', range ? [range] : []);
    if (range) reveal(range, range.startContainer.parentElement);
  }

  find.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(search, 120);
  });
  find.addEventListener('keydown', (event) => {
    if (event.isComposing) return;
    if (event.key === 'Enter' && searched !== find.value) search();
    else if (event.key === 'Enter') jump(event.shiftKey ? -1 : 1);
    else if (event.key === 'Escape') {
      find.value = '';
      search();
      find.blur();
    }
  });

  // --- keys and links ---
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target === find) return;
    const heard = root.classList.contains('heard');
    const onControl = event.target.closest('button, select, summary, [type=checkbox]');
    const action = {
      '/': () => { find.focus(); find.select(); },
      ' ': heard && !onControl && toggle,
      ArrowLeft: heard && (() => go(media.currentTime - 5)),
      ArrowRight: heard && (() => go(media.currentTime + 5)),
    }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });

  $('unsure')?.addEventListener('change', (event) => root.classList.toggle('sure', !event.target.checked));
  for (const time of document.querySelectorAll('time')) {
    time.textContent = new Date(time.dateTime).toLocaleString(root.lang, { dateStyle: 'long', timeStyle: 'short' });
  }
  function follow() {
    const linked = /^#t=(\d+(?:\.\d+)?)$/.exec(location.hash);
    if (linked) go(Number(linked[1]));
  }
  addEventListener('hashchange', follow);
  follow();
})();
