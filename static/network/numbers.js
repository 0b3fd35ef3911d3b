// Prices and volumes as people read them: all their digits, never an exponent.

const DIGITS_KEPT = 15; // of a 64 bit float; those after are noise
const DIGITS_SHORT = 3;
const SIZES = [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]];

/** Return a number as text, 4.1e-7 as 0.00000041. */
export function plain(number) {
  const [digits, exponent] = String(number).split("e");
  if (exponent === undefined) return digits;
  if (exponent > 0) return String(BigInt(number)); // 1e21 and more: whole by their size
  const part = digits.split(".")[1] ?? "";
  return number.toFixed(part.length - exponent);
}

/** Return how many decimals write each of these numbers, without what a float adds to them. */
export function decimalsOf(numbers) {
  const largest = Math.max(...numbers.map(Math.abs), 0);
  const before = largest > 0 ? Math.floor(Math.log10(largest)) + 1 : 1;
  const most = Math.max(0, DIGITS_KEPT - before);
  return Math.min(most, Math.max(0, ...numbers.map((number) => decimals(number))));
}

function decimals(number) {
  return plain(Number(number.toPrecision(DIGITS_KEPT))).split(".")[1]?.length ?? 0;
}

/** Return a number with three digits, as 1.23 M; a small one without an exponent. */
export function short(number) {
  for (const [size, letter] of SIZES) {
    if (number >= size * 0.9995) return `${plain(digits(number / size))} ${letter}`;
  }
  return plain(digits(number));
}

function digits(number) {
  return Number(number.toPrecision(DIGITS_SHORT));
}

/** Return a change in percent with its sign, as +1.25 %. */
export function signed(percent) {
  const text = Math.abs(percent).toFixed(2);
  const sign = text === "0.00" ? "" : percent > 0 ? "+" : "−";
  return `${sign}${text} %`;
}
