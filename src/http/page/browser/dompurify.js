/** For type checks alone: under this name the npm package's own file is served, see `../files.ts`. */
export { default } from "dompurify";
