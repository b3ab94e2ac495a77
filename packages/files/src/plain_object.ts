// What JSON calls an object, of data whose type nobody has checked yet.

/** True of `{}`, false of lists, null and plain values. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
