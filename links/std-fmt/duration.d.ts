export interface FormatOptions {
  style?: "narrow" | "full" | "digital";
  ignoreZero?: boolean;
}
export declare function format(ms: number, options?: FormatOptions): string;
