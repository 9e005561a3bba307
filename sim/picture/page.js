// Draws the story of a run: time runs to the right, each node has a lane, messages go from lane to
// lane, bands below show likelihood, leadership, logs and watermarks, and the ledger. Wheel zooms,
// dragging moves, a click pins; keys: g guilty moment, 0 whole run, + and - zoom, arrows move.
//
// A frame costs what the canvas has pixels for, not what the run has events: lists are sorted by
// time and searched by halves; where several marks fall on one pixel of a lane, one is drawn.
'use strict';
(() => {
  const story = JSON.parse(document.getElementById('story').textContent);
  const by = id => document.getElementById(id);
  const undelta = list => { let sum = 0; return Float64Array.from(list, d => sum += d); };
  const nodes = story.nodes, end = Math.max(story.end, 1), guilty = story.guilty;
  const messages = story.messages, events = story.events;
  messages.left = undelta(messages.left);
  events.time = undelta(events.time);
  for (const p of story.partitions)
    for (const r of p.replicas)
      for (const steps of [r.end, r.high_watermark, r.flushed]) {
        steps.time = undelta(steps.time);
        steps.value = undelta(steps.value);
      }
  // Messages that took long are looked at in every frame, the others only near the view.
  const near = 200000;
  const slow = [];
  messages.took.forEach((took, i) => { if (took < 0 || took > near) slow.push(i); });

  const palette = ['#3056d3', '#c2410c', '#15803d', '#7e22ce', '#0e7490', '#a16207', '#be185d', '#475569', '#4d7c0f'];
  const kind_colour = {fault: '#d97706', process: '#111827', leadership: '#7e22ce', log: '#0e7490', watermark: '#15803d',
                       answer: '#3056d3', client: '#94a3b8', violation: '#dc2626'};
  const broker_colour = id => id < 0 ? '#e5e7eb' : palette[(id - 1) % palette.length];
  const api_colour = api => api < 0 ? '#94a3b8' : palette[(api * 5 + 3) % palette.length];
  const seconds = us => (us / 1e6).toFixed(us % 1000 ? 6 : 3) + ' s';
  const first_at = (list, value) => {  // the first index whose value is not below
    let low = 0, high = list.length;
    while (low < high) { const mid = (low + high) >> 1; if (list[mid] < value) low = mid + 1; else high = mid; }
    return low;
  };
  const who = node => node < nodes.length ? nodes[node] : 'harness';

  // --- Filters
  const shown = {lane: nodes.map(() => true), kind: events.kinds.map(k => k !== 'client'), api: {}, band: {}};
  const group = (title, entries) => {
    const set = document.createElement('fieldset'), legend = document.createElement('legend');
    legend.textContent = title;
    set.append(legend);
    for (const [text, colour, state, key] of entries) {
      const label = document.createElement('label'), box = document.createElement('input');
      box.type = 'checkbox';
      box.checked = state[key];
      box.onchange = () => { state[key] = box.checked; layout(); };
      label.append(box, ' ' + text);
      label.style.color = colour;
      set.append(label);
    }
    by('filters').append(set);
  };
  group('lanes', nodes.map((name, i) => [name, '#1b1f24', shown.lane, i]));
  group('events', events.kinds.map((name, i) => [name, kind_colour[name], shown.kind, i]));
  const apis = Object.entries(messages.names);
  if (messages.api.includes(-1)) apis.push([-1, 'other']);
  for (const [api] of apis) shown.api[api] = true;
  group('messages', apis.map(([api, name]) => [name, api_colour(+api), shown.api, api]));
  const bands = ['leadership', 'logs', 'ledger'];
  if (story.likelihood.length) bands.unshift('likelihood');
  for (const band of bands) shown.band[band] = true;
  group('bands', bands.map(name => [name, '#1b1f24', shown.band, name]));

  // --- Where things are
  const canvas = by('picture'), pen = canvas.getContext('2d');
  const left_margin = 120, lane_height = 34, axis = 22;
  let rows = [], width = 0, height = 0, view = {from: 0, to: end}, pinned = null;
  const x_of = time => left_margin + (time - view.from) / (view.to - view.from) * (width - left_margin);
  const time_of = x => view.from + (x - left_margin) / (width - left_margin) * (view.to - view.from);
  let lane_y = [];

  function layout() {
    rows = [];
    let y = axis;
    const row = (type, tall, more) => { rows.push({type, y, tall, ...more}); y += tall; };
    row('faults', 26, {});
    lane_y = nodes.map(() => -1);
    nodes.forEach((name, node) => {
      if (!shown.lane[node]) return;
      lane_y[node] = y + lane_height / 2;
      row('lane', lane_height, {node, title: name});
    });
    if (shown.band.likelihood) row('likelihood', 56, {title: 'fails'});
    for (const partition of story.partitions) {
      if (shown.band.leadership) row('leadership', 22, {partition, title: partition.name});
      if (shown.band.logs) row('logs', 84, {partition, title: 'logs'});
      if (shown.band.ledger) row('ledger', 40, {partition, title: 'ledger'});
    }
    height = y + 4;
    width = canvas.clientWidth || 1200;
    const scale = window.devicePixelRatio || 1;
    canvas.width = width * scale;
    canvas.height = height * scale;
    canvas.style.height = height + 'px';
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    ask();
  }

  let asked = false;
  function ask() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; draw(); });
  }

  // --- Drawing
  function draw() {
    pen.clearRect(0, 0, width, height);
    pen.font = '11px system-ui, sans-serif';
    pen.textBaseline = 'middle';
    draw_axis();
    pen.save();
    pen.beginPath();
    pen.rect(left_margin, 0, width - left_margin, height);
    pen.clip();
    for (const row of rows) painters[row.type](row);
    draw_messages();
    draw_events();
    line_at(guilty, '#dc2626', 'guilty');
    line_at(story.healed || null, '#15803d', 'healed');
    if (pinned !== null) line_at(pinned, '#3056d3', '');
    pen.restore();
    pen.fillStyle = '#1b1f24';
    for (const row of rows) if (row.title) pen.fillText(row.title, 6, row.y + Math.min(row.tall / 2, 14), left_margin - 10);
    by('where').textContent = seconds(Math.round(view.from)) + ' – ' + seconds(Math.round(view.to));
    list_soon();
  }

  function line_at(time, colour, text) {
    if (time === null || time < view.from || time > view.to) return;
    const x = x_of(time);
    pen.strokeStyle = pen.fillStyle = colour;
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.moveTo(x, axis - 6);
    pen.lineTo(x, height);
    pen.stroke();
    pen.fillText(text, x + 3, axis + 6);
    pen.lineWidth = 1;
  }

  function draw_axis() {
    const span = view.to - view.from;
    let step = Math.pow(10, Math.ceil(Math.log10(Math.max(span / 10, 1))));
    if (span / step < 4) step /= 2;
    pen.strokeStyle = '#e5e7eb';
    pen.fillStyle = '#6b7280';
    for (let t = Math.ceil(view.from / step) * step; t <= view.to; t += step) {
      const x = x_of(t);
      pen.beginPath();
      pen.moveTo(x, axis);
      pen.lineTo(x, height);
      pen.stroke();
      pen.fillText((t / 1e6).toFixed(Math.max(0, 6 - Math.floor(Math.log10(step)))), x + 2, 10);
    }
  }

  const bar = (from, to, y, tall, colour) => {
    const a = Math.max(x_of(from), left_margin), b = Math.min(x_of(to), width);
    if (b < left_margin || a > width) return null;
    pen.fillStyle = colour;
    pen.fillRect(a, y, Math.max(b - a, 1), tall);
    return [a, b];
  };

  // A stair of steps within the view, one vertical stroke for all that falls on a pixel.
  function stair(steps, y_of, colour) {
    const {time, value} = steps;
    if (!time.length) return;
    let i = Math.max(first_at(time, view.from) - 1, 0);
    pen.strokeStyle = colour;
    pen.beginPath();
    pen.moveTo(Math.max(x_of(time[i]), left_margin), y_of(value[i]));
    let pixel = -1, low = 0, high = 0, last = value[i];
    const flush = () => { if (pixel >= 0) { pen.lineTo(pixel, y_of(low)); pen.lineTo(pixel, y_of(high)); pen.lineTo(pixel, y_of(last)); } };
    for (; i < time.length && time[i] <= view.to; ++i) {
      const x = Math.max(Math.round(x_of(time[i])), left_margin);
      if (x !== pixel) {
        flush();
        pen.lineTo(x, y_of(last));
        pixel = x;
        low = high = last;
      }
      last = value[i];
      low = Math.min(low, last);
      high = Math.max(high, last);
    }
    flush();
    pen.lineTo(Math.min(x_of(Math.min(view.to, end)), width), y_of(last));
    pen.stroke();
  }

  const painters = {
    faults(row) {
      for (const fault of story.faults) bar(fault.at, fault.until, row.y + 4, 18, 'rgba(217,119,6,0.35)');
      for (const fault of story.faults) {
        if (fault.at < view.from || fault.at > view.to) continue;
        pen.fillStyle = '#92400e';
        pen.fillText(fault.kind, x_of(fault.at) + 2, row.y + 13);
      }
    },
    lane(row) {
      const node = row.node, middle = row.y + row.tall / 2;
      for (const life of story.lives)
        if (life.node === node) bar(life.from, life.to, row.y + 5, row.tall - 10, '#eef2f7');
      for (const fault of story.faults)
        if (fault.nodes.includes(node)) bar(fault.at, fault.until, row.y + 5, row.tall - 10, 'rgba(217,119,6,0.18)');
      const lives = story.lives.filter(life => life.node === node);
      pen.strokeStyle = '#9ca3af';
      for (const life of lives.length ? lives : [{from: 0, to: end, ended: ''}]) {
        if (life.to < view.from || life.from > view.to) continue;
        pen.beginPath();
        pen.moveTo(x_of(Math.max(life.from, view.from)), middle);
        pen.lineTo(x_of(Math.min(life.to, view.to)), middle);
        pen.stroke();
        if (life.ended) {
          pen.fillStyle = '#dc2626';
          pen.fillText('✕', x_of(life.to) - 4, middle);
        }
      }
    },
    likelihood(row) {
      const y_of = part => row.y + row.tall - 4 - part * (row.tall - 8);
      pen.strokeStyle = pen.fillStyle = '#dc2626';
      pen.beginPath();
      story.likelihood.forEach((one, i) => {
        const x = x_of(one.at), y = y_of(one.failed / Math.max(one.branches, 1));
        if (i === 0) pen.moveTo(x, y); else pen.lineTo(x, y);
      });
      pen.stroke();
      for (const one of story.likelihood) {
        const x = x_of(one.at), y = y_of(one.failed / Math.max(one.branches, 1));
        pen.fillRect(x - 2, y - 2, 4, 4);
        if (view.to - view.from < end / 2) pen.fillText(one.failed + '/' + one.branches, x + 4, y);
      }
    },
    leadership(row) {
      const reigns = row.partition.reigns;
      reigns.forEach((reign, i) => {
        const next = i + 1 < reigns.length ? reigns[i + 1].from : end;
        const place = bar(reign.from, next, row.y + 2, row.tall - 4, broker_colour(reign.leader));
        if (place && place[1] - place[0] > 40) {
          pen.fillStyle = reign.leader < 0 ? '#1b1f24' : '#fff';
          const leads = (reign.leader < 0 ? 'nobody' : 'broker-' + reign.leader) + ' epoch ' + reign.epoch;
          const more = leads + ' ISR {' + reign.isr + '}' + (reign.elr.length ? ' ELR {' + reign.elr + '}' : '');
          const text = [more, leads, 'epoch ' + reign.epoch].find(t => pen.measureText(t).width < place[1] - place[0] - 8);
          if (text) pen.fillText(text, place[0] + 4, row.y + row.tall / 2);
        }
      });
    },
    logs(row) {
      let low = Infinity, top = -Infinity;  // of what is in view
      for (const replica of row.partition.replicas)
        for (const steps of [replica.end, replica.high_watermark]) {
          const to = first_at(steps.time, view.to + 1);
          for (let i = Math.max(first_at(steps.time, view.from) - 1, 0); i < to; ++i) {
            low = Math.min(low, steps.value[i]);
            top = Math.max(top, steps.value[i]);
          }
        }
      if (low > top) return;
      const y_of = value => row.y + row.tall - 4 - (Math.max(value, low) - low) / Math.max(top - low, 1) * (row.tall - 10);
      pen.fillStyle = '#6b7280';
      pen.fillText(String(top), left_margin + 2, row.y + 8);
      pen.fillText(String(low), left_margin + 2, row.y + row.tall - 8);
      for (const replica of row.partition.replicas) {
        const colour = broker_colour(replica.node);
        stair(replica.end, y_of, colour);
        pen.setLineDash([4, 3]);
        stair(replica.high_watermark, y_of, colour);
        pen.setLineDash([1, 3]);
        stair(replica.flushed, y_of, colour);
        pen.setLineDash([]);
      }
    },
    ledger(row) {
      const partition = row.partition;
      let top = 1;
      for (const p of partition.promises) if (p[2] >= top) top = p[2] + 1;
      const y_of = value => row.y + row.tall - 3 - value / top * (row.tall - 6);
      const seen = new Set();
      for (const [at, from, to, kind] of partition.promises) {
        if (at < view.from || at > view.to) continue;
        const x = Math.round(x_of(at)), y = Math.round(y_of(to + 1));
        const place = x * 4096 + y * 3 + kind;
        if (seen.has(place)) continue;
        seen.add(place);
        pen.fillStyle = ['#94a3b8', '#15803d', '#3056d3'][kind];
        pen.fillRect(x, y, 2, Math.max(y_of(from) - y, 1));
      }
      for (const loss of partition.losses) {
        const y = y_of(loss.to + 1), tall = Math.max(y_of(loss.from) - y, 2);
        bar(loss.promised, loss.lost, y, tall, loss.permitted ? 'rgba(217,119,6,0.5)' : 'rgba(220,38,38,0.6)');
        if (loss.lost >= view.from && loss.lost <= view.to) {
          pen.fillStyle = loss.permitted ? '#92400e' : '#dc2626';
          pen.fillText(loss.rule, x_of(loss.lost) + 2, y);
        }
      }
    },
  };

  const message_seen = i => shown.api[messages.api[i]] !== false && lane_y[messages.from[i]] >= 0 &&
                            lane_y[messages.to[i]] >= 0;
  function each_message(act) {
    const from = first_at(messages.left, view.from - near), to = first_at(messages.left, view.to);
    for (let i = from; i < to; ++i) act(i);
    for (const i of slow) {
      if (i >= to) break;
      const took = messages.took[i];
      if (i < from && (took < 0 ? false : messages.left[i] + took >= view.from)) act(i);
    }
  }
  let message_places = [];
  function draw_messages() {
    const seen = new Set();
    const paths = new Map();
    message_places = [];
    each_message(i => {
      if (!message_seen(i)) return;
      const lost = messages.took[i] < 0;
      const a = x_of(messages.left[i]), b = lost ? a + 14 : x_of(messages.left[i] + messages.took[i]);
      if (b < left_margin || a > width) return;
      const y1 = lane_y[messages.from[i]], y2 = lane_y[messages.to[i]];
      const place = ((Math.round(a) * 64 + messages.from[i]) * 64 + messages.to[i]) * 2 + (b - a > 3 ? 1 : 0);
      if (seen.has(place)) return;
      seen.add(place);
      const colour = lost ? '#dc2626' : api_colour(messages.api[i]);
      if (!paths.has(colour)) paths.set(colour, []);
      paths.get(colour).push([a, y1, b, lost ? (y1 + y2) / 2 : y2]);
      message_places.push([i, a, y1, b, lost ? (y1 + y2) / 2 : y2]);
    });
    pen.globalAlpha = message_places.length > 3000 ? 0.25 : 0.7;
    for (const [colour, lines] of paths) {
      pen.strokeStyle = colour;
      pen.beginPath();
      for (const [a, y1, b, y2] of lines) { pen.moveTo(a, y1); pen.lineTo(b, y2); }
      pen.stroke();
    }
    pen.globalAlpha = 1;
  }

  let event_places = [];
  function draw_events() {
    const seen = new Set();
    event_places = [];
    for (let i = first_at(events.time, view.from); i < events.time.length && events.time[i] <= view.to; ++i) {
      if (!shown.kind[events.kind[i]]) continue;
      const node = events.node[i];
      const y = node < nodes.length ? lane_y[node] : axis + 13;
      if (y < 0) continue;
      const x = x_of(events.time[i]);
      const place = (Math.round(x) * 64 + node) * 8 + events.kind[i];
      if (seen.has(place)) continue;
      seen.add(place);
      event_places.push([i, x, y]);
      const kind = events.kinds[events.kind[i]];
      const size = kind === 'violation' ? 7 : kind === 'process' || kind === 'leadership' || kind === 'fault' ? 5 : 3;
      pen.fillStyle = kind_colour[kind];
      pen.fillRect(x - size / 2, y - size / 2, size, size);
    }
  }

  // --- The list of what is in view
  const listed_max = 300;
  let list_timer = 0;
  function list_soon() {
    clearTimeout(list_timer);
    list_timer = setTimeout(write_list, 120);
  }
  function write_list() {
    const from = first_at(events.time, view.from), to = first_at(events.time, view.to + 1);
    const wanted = [];
    let count = 0;
    for (let i = from; i < to; ++i) {
      if (!shown.kind[events.kind[i]] || (events.node[i] < nodes.length && !shown.lane[events.node[i]])) continue;
      ++count;
      if (wanted.length < listed_max) wanted.push(i);
    }
    const list = by('list');
    list.replaceChildren();
    if (count > wanted.length) {
      const more = document.createElement('div');
      more.textContent = count + ' events in view; the first ' + wanted.length + ':';
      list.append(more);
    }
    for (const i of wanted) {
      const line = document.createElement('div');
      line.className = events.kinds[events.kind[i]];
      line.textContent = (events.time[i] / 1e6).toFixed(6).padStart(12) + '  ' + who(events.node[i]).padEnd(14) + ' ' + events.text[i];
      line.onclick = () => { pinned = events.time[i]; look_at(pinned, view.to - view.from); };
      list.append(line);
    }
  }

  // --- Moving about
  function look_at(time, span) {
    span = Math.min(Math.max(span, 20), end * 1.1);
    view = {from: time - span / 2, to: time + span / 2};
    ask();
  }
  function zoom(factor, at) {
    const span = Math.min(Math.max((view.to - view.from) * factor, 20), end * 1.2);
    const part = (at - view.from) / (view.to - view.from);
    view = {from: at - span * part, to: at + span * (1 - part)};
    ask();
  }
  const whole = () => { view = {from: 0, to: end}; ask(); };
  const to_guilty = () => { if (guilty === null) whole(); else look_at(guilty, Math.min(end, 2e6)); };
  canvas.addEventListener('wheel', e => {
    e.preventDefault();
    if (e.shiftKey) { const by_time = (view.to - view.from) * e.deltaY / 1000; view = {from: view.from + by_time, to: view.to + by_time}; ask(); }
    else zoom(Math.exp(e.deltaY / 400), time_of(e.offsetX));
  }, {passive: false});
  let drag = null;
  canvas.addEventListener('mousedown', e => { drag = {x: e.offsetX, view, moved: false}; });
  window.addEventListener('mouseup', e => {
    if (drag && !drag.moved && e.target === canvas) { pinned = time_of(e.offsetX); ask(); }
    drag = null;
  });
  canvas.addEventListener('mousemove', e => {
    if (drag) {
      drag.moved = drag.moved || Math.abs(e.offsetX - drag.x) > 3;
      const by_time = (e.offsetX - drag.x) / (width - left_margin) * (drag.view.to - drag.view.from);
      view = {from: drag.view.from - by_time, to: drag.view.to - by_time};
      by('tip').hidden = true;
      ask();
    } else tell(e.offsetX, e.offsetY);
  });
  canvas.addEventListener('mouseleave', () => { by('tip').hidden = true; });

  function tell(x, y) {
    let best = 64, text = '';
    for (const [i, ex, ey] of event_places) {
      const d = (ex - x) ** 2 + (ey - y) ** 2;
      if (d < best) { best = d; text = seconds(events.time[i]) + '  ' + who(events.node[i]) + '\n' + events.text[i]; }
    }
    if (best > 20) for (const [i, ax, ay, bx, by_] of message_places) {
      const length = (bx - ax) ** 2 + (by_ - ay) ** 2 || 1;
      const part = Math.min(Math.max(((x - ax) * (bx - ax) + (y - ay) * (by_ - ay)) / length, 0), 1);
      const d = (ax + part * (bx - ax) - x) ** 2 + (ay + part * (by_ - ay) - y) ** 2;
      if (d < Math.min(best, 25)) { best = d; text = message_text(i); }
    }
    const row = rows.find(r => y >= r.y && y < r.y + r.tall);
    if (!text && row && row.type === 'ledger') {
      const t = time_of(x), loss = row.partition.losses.find(l => l.promised <= t && t <= l.lost);
      if (loss) text = loss.sentence;
    }
    if (!text && row && row.type === 'faults') {
      const t = time_of(x);
      text = story.faults.filter(f => f.at <= t && t <= f.until).map(f => f.text).join('\n');
    }
    const tip = by('tip');
    tip.hidden = !text;
    tip.textContent = text;
    tip.style.left = Math.min(x + 14, width - 320) + 'px';
    tip.style.top = y + 14 + 'px';
  }
  const message_text = i => {
    const took = messages.took[i];
    return seconds(messages.left[i]) + '  ' + who(messages.from[i]) + ' → ' + who(messages.to[i]) + '\n' +
           (messages.names[messages.api[i]] || 'unknown') + ' v' + messages.version[i] +
           (messages.response[i] ? ' response' : ' request') + ', correlation ' + messages.correlation[i] + ', ' +
           messages.bytes[i] + ' bytes, connection ' + messages.connection[i] + '\n' +
           (took < 0 ? 'never arrived whole' : 'arrived after ' + took + ' µs');
  };

  function find_next() {
    const words = by('find').value.toLowerCase();
    if (!words) return;
    const count = events.text.length, start = first_at(events.time, (pinned === null ? view.from : pinned) + 1);
    for (let k = 0; k < count; ++k) {
      const i = (start + k) % count;
      if (!events.text[i].toLowerCase().includes(words) && !who(events.node[i]).includes(words)) continue;
      pinned = events.time[i];
      look_at(pinned, view.to - view.from);
      return;
    }
  }
  by('find').addEventListener('keydown', e => { if (e.key === 'Enter') find_next(); e.stopPropagation(); });
  by('guilty').onclick = to_guilty;
  by('all').onclick = whole;
  by('in').onclick = () => zoom(0.5, (view.from + view.to) / 2);
  by('out').onclick = () => zoom(2, (view.from + view.to) / 2);
  by('show_report').onclick = () => { by('report').hidden = !by('report').hidden; };
  window.addEventListener('keydown', e => {
    const span = view.to - view.from;
    if (e.key === 'g') to_guilty();
    else if (e.key === '0') whole();
    else if (e.key === 'r') by('show_report').onclick();
    else if (e.key === '+' || e.key === '=') zoom(0.5, (view.from + view.to) / 2);
    else if (e.key === '-') zoom(2, (view.from + view.to) / 2);
    else if (e.key === 'ArrowLeft') look_at((view.from + view.to) / 2 - span / 4, span);
    else if (e.key === 'ArrowRight') look_at((view.from + view.to) / 2 + span / 4, span);
  });
  window.addEventListener('resize', layout);

  document.title = 'klamm: ' + story.verdict;
  by('title').textContent = 'klamm: ' + story.verdict;
  by('token').textContent = story.token;
  by('guilty').disabled = guilty === null;
  by('report').textContent = story.report;
  to_guilty();
  layout();
})();
