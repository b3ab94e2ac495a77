// The eight colours of the palette in turn; curves beyond the eighth are dashed.

/** The custom property that holds the colour of series i. */
export const seriesProperty = (i: number) => `--color-series-${(i % 8) + 1}`
export const seriesColour = (i: number) => `var(${seriesProperty(i)})`
export const isDashed = (i: number) => i >= 8
