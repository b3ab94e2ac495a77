// The public face of @mistudio/studio.
export { lockDataFolder, readLock } from './db/lock.ts'
export type { DemoSize } from './demo.ts'
export { demoRecipe } from './demo.ts'
export { defaultPort, type Studio, startStudio } from './studio.ts'
