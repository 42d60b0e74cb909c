// Loaded before a program (node --import): its time of day jumps by hours, forth and back, five times a second.
const real = Date.now.bind(Date);
const hoursMs = [0, 7, -3, 100, -100].map((hours) => hours * 3_600_000);

Date.now = () => {
  const nowMs = real();
  return nowMs + (hoursMs[Math.floor(nowMs / 200) % hoursMs.length] ?? 0);
};
