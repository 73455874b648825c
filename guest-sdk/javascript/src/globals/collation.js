/**
 * The order of texts, for `Intl.Collator` and `localeCompare`: that of Unicode without rules of a language. Letters are compared first, then their
 * accents, then their case. It is exact for the letters of Latin; letters of other scripts are in the order of their code points.
 */

/** White space, punctuation and symbols, in their order; digits and letters follow. */
const SYMBOLS = "\t\n\v\f\r\u0085\u2028\u2029 \u00a0_-\u2013\u2014,;:!\u00a1?\u00bf.\u2026'\u2018\u2019\"\u201c\u201d\u00ab\u00bb()[]{}\u00a7\u00b6@*/\\&#%`\u00b4^\u00a8\u00b0\u00a9\u00ae+\u00b1\u00f7\u00d7<=>|\u00a6~\u00a4\u00a2$\u00a3\u00a5\u20ac";
const FIRST_DIGIT = 1000;
const FIRST_LETTER = 2000;

/** Letters that are others together, or others with a mark. */
const AS_OTHERS = { ß: "ss", æ: "ae", œ: "oe", ø: "o\u0338", ł: "l\u0335", đ: "d\u0335", ħ: "h\u0335", þ: "th", ı: "i\u0335" };

const symbols = new Map(Array.from(SYMBOLS, (symbol, place) => [symbol, place + 1]));

function primaryOf(letter) {
  const symbol = symbols.get(letter);
  if (symbol !== undefined) {
    return symbol;
  }
  const code = letter.codePointAt(0);
  return code >= 48 && code <= 57 ? FIRST_DIGIT + code - 48 : FIRST_LETTER + code;
}

/** Marks that stand over or under the letter before. Not every engine knows the properties of Unicode. */
const MARK = /[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u064b-\u065f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]/;

const decomposed = (text) => (typeof text.normalize === "function" ? text.normalize("NFD") : text);

/** Without white space and punctuation. */
export const withoutSymbols = (text) => Array.from(text).filter((character) => !symbols.has(character)).join("");

/** @returns the weights of letters, and for each its accents and its case */
function weigh(text, isNumeric) {
  const [primary, accents, cases] = [[], [], []];
  const add = (weight, accent, isUpper) => {
    primary.push(weight);
    accents.push(accent);
    cases.push(isUpper ? 1 : 0);
  };
  for (const [piece, digits] of decomposed(text).matchAll(isNumeric ? /(\d+)|[^]/gu : /[^]/gu)) {
    if (digits) {
      // Between the digits and the letters, and longer numbers after shorter ones.
      const number = digits.replace(/^0+(?=\d)/, "");
      add(FIRST_DIGIT, "", false);
      add(number.length, "", false);
      Array.from(number, (digit) => add(primaryOf(digit), "", false));
    } else if (MARK.test(piece) && primary.length > 0) {
      accents[accents.length - 1] += piece;
    } else if (!/[\0-\x08\x0e-\x1f\x7f\u200b-\u200f\ufeff]/.test(piece)) {
      const lower = piece.toLowerCase();
      const others = AS_OTHERS[lower] ?? lower;
      Array.from(others, (letter) => (MARK.test(letter) ? (accents[accents.length - 1] += letter) : add(primaryOf(letter), others.length > 1 ? "\u0001" : "", lower !== piece)));
    }
  }
  return { primary, accents, cases };
}

function compareLists(a, b) {
  for (let index = 0; index < a.length && index < b.length; index += 1) {
    if (a[index] !== b[index]) {
      return a[index] < b[index] ? -1 : 1;
    }
  }
  return Math.sign(a.length - b.length);
}

/** @returns -1, 0 or 1 */
export function compareTexts(left, right, { numeric = false, sensitivity = "variant", caseFirst = "false" } = {}) {
  if (left === right) {
    return 0;
  }
  const [a, b] = [weigh(left, numeric), weigh(right, numeric)];
  const seesAccents = sensitivity === "accent" || sensitivity === "variant";
  const seesCase = sensitivity === "case" || sensitivity === "variant";
  return compareLists(a.primary, b.primary) || (seesAccents && compareLists(a.accents, b.accents)) || (seesCase && compareLists(a.cases, b.cases) * (caseFirst === "upper" ? -1 : 1)) || 0;
}
