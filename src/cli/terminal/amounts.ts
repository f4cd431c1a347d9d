/** Formats bytes, durations and speeds. */
import { format as formatBytes } from "@std/fmt/bytes";

export function size(bytes: number): string {
  return formatBytes(bytes, { binary: true });
}

/** `1:05`, `2:03:00`. */
export function clock(seconds: number): string {
  const whole = Math.ceil(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = (number: number): string => String(number).padStart(2, "0");
  return `${hours > 0 ? `${hours}:${two(minutes)}` : minutes}:${two(whole % 60)}`;
}

/** `350 ms`, `3.2 s`, then as {@linkcode clock}. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : clock(Math.floor(ms / 1000));
}

/** `42 %`. */
export function percent(share: number): string {
  return `${Math.floor(share * 100)} %`;
}

/** Progress of a download. */
export interface Amounts {
  readonly done: number;
  /** `null` if unknown. */
  readonly total: number | null;
}

/** Format as `42 %`, `1.2 GiB of 2.8 GiB`, most important first. */
export function amounts({ done, total }: Amounts): string[] {
  if (total === null || total === 0) return [size(done)];
  return [percent(done / total), `${size(done)} of ${size(total)}`];
}

/** Format speed and remaining time, if known. */
export function speed(from: Amounts, to: Amounts, ms: number): string {
  const perSecond = (to.done - from.done) / ms * 1000;
  if (!(perSecond > 0)) return "";
  const left = to.total === null ? "" : `, ${clock((to.total - to.done) / perSecond)} left`;
  return `${size(perSecond)}/s${left}`;
}
