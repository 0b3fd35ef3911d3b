// Prices and volumes as people read them: all their digits, never an exponent.

const DIGITS = 8; // that are worth reading
const DIGITS_KEPT = 15; // of a 64 bit float; those after are noise
const MOST_DECIMALS = 20; // that Plotly writes

/** Return a number as text, 4.1e-7 as 0.00000041. */
export function plain(number) {
  const [digits, exponent] = String(number).split("e");
  if (exponent === undefined) return digits;
  if (exponent > 0) return String(BigInt(number)); // 1e21 and more: whole by their size
  const part = digits.split(".")[1] ?? "";
  return number.toFixed(part.length - exponent);
}

/** Return the format for Plotly that tells any of these numbers apart from the others. */
export function fixedFormat(numbers) {
  const sizes = numbers.map(Math.abs).filter((size) => size > 0);
  if (!sizes.length) return ",~f";
  const decimals = Math.min(
    DIGITS - 1 - order(Math.min(...sizes)),
    DIGITS_KEPT - 1 - order(Math.max(...sizes)),
    MOST_DECIMALS,
  );
  return `,.${Math.max(0, decimals)}~f`;
}

function order(size) {
  return Math.floor(Math.log10(size));
}
