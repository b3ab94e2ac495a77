// What a recipe is: a family with the settings that a paper or a tool uses, and where they are written. Data, so that a
// single setting can be changed on top, and so that command line and studio can show what it sets.
import type { Settings } from '../fields.ts'

export type Recipe = {
  /** As `--recipe` takes it. */
  name: string
  /** Wire name. */
  family: string
  /** Where the numbers come from, and where they had to be carried over. */
  source: string
  /** Settings of the run, of every member and of the family, under their wire names. */
  sets: Settings
}
