// Whether unchecked data is what JSON calls an object.

/** True for `{}`, false for lists, null and plain values. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
