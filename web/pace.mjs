/** How long a phase of the export that counts bytes still takes, at its speed since it was first seen. */

/** A function from a progress event and the time (ms) to the seconds that are left, or null while nobody can say. */
export function createPace() {
  const begun = new Map();
  return ({ phase, done, total, unit }, now) => {
    if (unit !== "bytes" || !total) return null;
    const first = begun.get(phase);
    if (!first || first.total !== total || first.done > done) {
      begun.set(phase, { now, done, total });
      return null;
    }
    if (now - first.now < 1000 || done === first.done) return null;
    return Math.ceil(((total - done) * (now - first.now)) / (done - first.done) / 1000);
  };
}

/** `seconds` as a clock shows it: ``1:05``. */
export const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
