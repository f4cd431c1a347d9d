/**
 * JSON numbers as regular languages: within bounds, and multiples of a step. Texts within bounds stay within them when
 * parsed as 64-bit floats: rounding preserves order, and near an exclusive bound no more digits are written than a
 * float distinguishes.
 */
import type { Language, Languages, Machine } from "../language/language.ts";
import { languageOf } from "../language/pattern.ts";

/** Constraints on a number. */
export interface NumberBounds {
  readonly integer?: boolean;
  readonly least?: number;
  /** The minimum is exclusive. */
  readonly above?: boolean;
  readonly most?: number;
  readonly below?: boolean;
  readonly multipleOf?: readonly number[];
}

/** Digits that a float always preserves. */
const EXACT_DIGITS = 15;
/** Maximum digits written: as many as a float or a 64-bit integer needs. */
const WHOLE_DIGITS = 21;
const PLACES = 24;
const ANY_NUMBER = `^-?(?:0|[1-9]\\d{0,${WHOLE_DIGITS - 1}})(?:\\.\\d{1,${PLACES}})?` +
  // A larger exponent might overflow to infinity.
  "(?:[Ee](?:\\+?\\d{1,2}|-\\d{1,3}))?$";

/** Any number, exponents included. */
export function anyNumber(languages: Languages): Language {
  return languageOf(ANY_NUMBER, languages);
}

/**
 * Numbers within bounds, without exponents.
 *
 * @param bounds The bounds.
 * @param languages Where its parts go.
 * @returns The empty language if there is no such number.
 */
export function numbersWithin(bounds: NumberBounds, languages: Languages): Language {
  const { integer = false, multipleOf = [], least = -Infinity, most = Infinity } = bounds;
  const { above = false, below = false } = bounds;
  const key = [integer, least, above, most, below, ...multipleOf].join(" ");
  return languages.named(`number ${key}`, () => {
    const one = decimal(1);
    const step = [...multipleOf.map(decimal), ...(integer ? [one] : [])].reduce<Decimal | undefined>(
      (all, each) => all === undefined ? each : leastCommonMultiple(all, each),
      undefined,
    );
    const isLarge = (above && Math.abs(least) > Number.MAX_SAFE_INTEGER) ||
      (below && Math.abs(most) > Number.MAX_SAFE_INTEGER);
    const isExact = multipleOf.length > 0 || (above || below) && (!integer || isLarge);
    const digits = isExact ? EXACT_DIGITS : Infinity;
    const places = step?.places ?? (isExact ? EXACT_DIGITS : PLACES);
    const unit = 10n ** BigInt(places);
    const low = least === -Infinity ? undefined : roundedUp(decimal(least), places, above);
    const high = most === Infinity ? undefined : -roundedUp(decimal(-most), places, below);
    const range = (from: bigint, to: bigint | undefined): Language => {
      const wholes = Math.max(WHOLE_DIGITS, String(from / unit).length + 1);
      const top = 10n ** BigInt(Math.min(wholes, digits)) * unit - 1n;
      const last = to === undefined || to > top ? top : to;
      const machine = new DecimalMachine({
        from,
        to: last,
        places,
        step: step === undefined ? 1n : step.digits * 10n ** BigInt(places - step.places),
        digits: Math.min(digits, wholes + places),
        wholes: Math.min(digits, wholes),
      });
      return machine.hasSome ? languages.machine(machine) : languages.none;
    };
    const positive = high !== undefined && high < 0n
      ? languages.none
      : range(low === undefined || low < 0n ? 0n : low, high);
    // Zero has no sign.
    const negative = low !== undefined && low >= 0n
      ? languages.none
      : range(high === undefined || high >= 0n ? 1n : -high, low === undefined ? undefined : -low);
    return languages.or(positive, languages.concat(languages.text("-"), negative));
  });
}

/** All notations of a number without an exponent. */
export function spellingsOf(value: number, languages: Languages): Language {
  const { digits, places } = decimal(value);
  const magnitude = String(digits < 0n ? -digits : digits).padStart(places + 1, "0");
  const whole = magnitude.slice(0, magnitude.length - places);
  const zeros = languages.chars([0x30, 0x30]);
  const sign = digits < 0n ? "-" : "";
  if (places > 0) {
    const decimals = magnitude.slice(magnitude.length - places);
    return languages.concat(languages.text(`${sign}${whole}.${decimals}`), languages.repeat(zeros, 0, Infinity));
  }
  const point = languages.concat(languages.text("."), languages.repeat(zeros, 1, Infinity));
  const text = languages.concat(languages.text(sign + whole), languages.optional(point));
  return digits === 0n ? languages.or(text, languages.concat(languages.text("-0"), languages.optional(point))) : text;
}

/** Whether a number satisfies the constraints. */
export function isWithin(value: number, bounds: NumberBounds): boolean {
  const { integer = false, least = -Infinity, above = false, most = Infinity, below = false, multipleOf = [] } = bounds;
  if (integer && !Number.isInteger(value)) return false;
  if (value < least || above && value === least || value > most || below && value === most) return false;
  return multipleOf.every((step) => {
    const [a, b] = [decimal(value), decimal(step)];
    const places = BigInt(Math.max(a.places, b.places));
    return a.digits * 10n ** (places - BigInt(a.places)) % (b.digits * 10n ** (places - BigInt(b.places))) === 0n;
  });
}

/** `digits / 10^places`, without trailing zeros. */
interface Decimal {
  readonly digits: bigint;
  readonly places: number;
}

function decimal(value: number): Decimal {
  const [mantissa = "", exponent = "0"] = String(value).split("e");
  const [whole = "", decimals = ""] = mantissa.split(".");
  const places = decimals.length - Number(exponent);
  const digits = BigInt(whole + decimals);
  return places >= 0 ? { digits, places } : { digits: digits * 10n ** BigInt(-places), places: 0 };
}

function leastCommonMultiple(one: Decimal, other: Decimal): Decimal {
  const places = Math.max(one.places, other.places);
  const [a, b] = [one, other].map(({ digits, places: own }) => digits * 10n ** BigInt(places - own)) as [
    bigint,
    bigint,
  ];
  let [x, y] = [a, b];
  while (y !== 0n) [x, y] = [y, x % y];
  return { digits: a / x * b, places };
}

/** A number in units of the last place, rounded up. */
function roundedUp({ digits, places: own }: Decimal, places: number, above: boolean): bigint {
  if (own <= places) return digits * 10n ** BigInt(places - own) + (above ? 1n : 0n);
  const unit = 10n ** BigInt(own - places);
  const floor = digits / unit - (digits % unit < 0n ? 1n : 0n);
  return floor * unit === digits && !above ? floor : floor + 1n;
}

/** Digits read so far. */
interface Read {
  /** All digits as one number. */
  readonly value: bigint;
  readonly wholes: number;
  /** Digits after the decimal point; -1 before it. */
  readonly decimals: number;
}

/** Automaton of non-negative decimals, in units of the last place. */
class DecimalMachine implements Machine<Read> {
  readonly start: Read = { value: 0n, wholes: 0, decimals: -1 };
  readonly alphabet: number[];
  readonly #from: bigint;
  readonly #to: bigint;
  readonly #places: number;
  readonly #step: bigint;
  readonly #digits: number;
  readonly #wholes: number;

  constructor(
    { from, to, places, step, digits, wholes }: {
      readonly from: bigint;
      readonly to: bigint;
      readonly places: number;
      readonly step: bigint;
      readonly digits: number;
      readonly wholes: number;
    },
  ) {
    this.alphabet = places > 0 ? [0x2e, 0x2e, 0x30, 0x39] : [0x30, 0x39];
    [this.#from, this.#to, this.#places, this.#step] = [from, to, places, step];
    [this.#digits, this.#wholes] = [digits, wholes];
  }

  get hasSome(): boolean {
    for (let char = 0x30; char <= 0x39; char++) if (this.step(this.start, char) !== undefined) return true;
    return false;
  }

  step(read: Read, char: number): Read | undefined {
    const next = this.#next(read, char);
    return next !== undefined && this.#outlook(next).some((part) => part !== "none") ? next : undefined;
  }

  accepts({ value, wholes, decimals }: Read): boolean {
    if (wholes === 0 || decimals === 0) return false;
    const scaled = value * 10n ** BigInt(this.#places - Math.max(0, decimals));
    return scaled >= this.#from && scaled <= this.#to && scaled % this.#step === 0n;
  }

  /** States are equal if they allow the same continuations. */
  key(read: Read): string {
    const outlook = this.#outlook(read);
    const kind = `${this.accepts(read)} ${read.decimals} ${this.#isZero(read)}`;
    const left = read.decimals < 0 ? this.#wholes - read.wholes : 0;
    const rest = this.#step === 1n ? "" : `${read.value % this.#step}`;
    const known = outlook.every((part) => part !== "some");
    return `${kind} ${left} ${this.#digits - read.wholes} ${known ? outlook.join() : read.value} ${rest}`;
  }

  #next({ value, wholes, decimals }: Read, char: number): Read | undefined {
    if (char === 0x2e) {
      const isPossible = wholes > 0 && decimals < 0 && this.#places > 0 && wholes < this.#digits;
      return isPossible ? { value, wholes, decimals: 0 } : undefined;
    }
    const next = value * 10n + BigInt(char - 0x30);
    if (decimals >= 0) {
      if (decimals >= this.#places || wholes + decimals >= this.#digits) return undefined;
      return { value: next, wholes, decimals: decimals + 1 };
    }
    return this.#isZero({ value, wholes, decimals }) || wholes >= this.#wholes
      ? undefined
      : { value: next, wholes: wholes + 1, decimals };
  }

  #isZero({ value, wholes, decimals }: Read): boolean {
    return decimals < 0 && wholes === 1 && value === 0n;
  }

  /** For each number of further integer digits: whether none, some or all reachable numbers are allowed. */
  #outlook(read: Read): ("none" | "some" | "all")[] {
    const { value, wholes, decimals } = read;
    const behind = decimals < 0 ? 0 : decimals;
    if (decimals >= 0) return [this.#part(value, this.#places - behind, Math.min(this.#places, this.#digits - wholes))];
    const most = wholes === 0 ? 0 : this.#isZero(read) ? 0 : this.#wholes - wholes;
    return Array.from(
      { length: most + 1 },
      (_, more) => this.#part(value, more + this.#places, Math.min(this.#places, this.#digits - wholes - more)),
    );
  }

  /** @param shift Places that the digits read still move. @param places Those that may be written at all. */
  #part(value: bigint, shift: number, places: number): "none" | "some" | "all" {
    const size = 10n ** BigInt(shift);
    const [low, high] = [value * size, (value + 1n) * size - 1n];
    const from = low > this.#from ? low : this.#from;
    const to = high < this.#to ? high : this.#to;
    const unit = 10n ** BigInt(this.#places - places);
    // Common multiple: the larger if it is a multiple of the other, otherwise the product.
    const step = this.#step % unit === 0n ? this.#step : unit % this.#step === 0n ? unit : this.#step * unit;
    if (from > to || to / step * step < from) return "none";
    return low >= this.#from && high <= this.#to ? "all" : "some";
  }
}
