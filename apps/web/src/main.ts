// Where the application starts. Zod would compile its checks with `new Function`, which the server's content policy
// forbids; it asks when the first schema is made, so it is told before anything that has one is loaded.
import { z } from 'zod'

z.config({ jitless: true })
await import('./app.tsx')
