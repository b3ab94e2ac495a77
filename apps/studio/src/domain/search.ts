// What a person types into a search field, as a pattern for LIKE: found as it is, anywhere.
export const containing = (text: string): string => `%${text.replace(/[\\%_]/g, '\\$&')}%`
