// Medians and how they are printed.

/** The middle of some numbers; of an even count, the lower middle. */
export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[(sorted.length - 1) >> 1];
}

/** Three significant digits, without an exponent. */
export function digits(value) {
  if (value === undefined || Number.isNaN(value)) return "–";
  if (value >= 100) return value.toFixed(0);
  return Number(value.toPrecision(3)).toString();
}
