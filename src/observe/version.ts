/** shoal's version; package.json holds the same, and a test compares them. */
export const version = '0.1.0';
