// Finished extractions kept open: opening one costs more than reading a feature of it. The longest unused is closed
// when there are too many, once nobody reads it.
import { type Extraction, openExtraction } from '@mistudio/feature'

export type ExtractionShelf = {
  /** Opens the extraction in `dir` or takes the open one. @throws InputError for files that cannot be read */
  use<T>(dir: string, read: (extraction: Extraction) => Promise<T>): Promise<T>
  /** Its files are about to go: waits for readers. */
  drop(dir: string): Promise<void>
  close(): Promise<void>
}

type Place = { opened: Promise<Extraction>; readers: Set<Promise<unknown>> }

export function createExtractionShelf(options: { size?: number } = {}): ExtractionShelf {
  const { size = 4 } = options
  // A Map keeps the order of insertion: the first is the longest unused.
  const places = new Map<string, Place>()

  async function drop(dir: string): Promise<void> {
    const place = places.get(dir)
    if (place === undefined) return
    places.delete(dir)
    const opened = await place.opened.catch(() => undefined)
    await Promise.allSettled(place.readers)
    opened?.close()
  }

  return {
    async use(dir, read) {
      const place = places.get(dir) ?? { opened: openExtraction({ dir }), readers: new Set() }
      places.delete(dir)
      places.set(dir, place)
      const reading = place.opened.then(read)
      place.readers.add(reading)
      try {
        if (places.size > size) void drop(places.keys().next().value!)
        return await reading
      } catch (error) {
        // One that could not be opened is tried anew the next time.
        if ((await place.opened.catch(() => undefined)) === undefined && places.get(dir) === place)
          places.delete(dir)
        throw error
      } finally {
        place.readers.delete(reading)
      }
    },
    drop,
    async close() {
      await Promise.all([...places.keys()].map(drop))
    },
  }
}
