// Where the application starts. Zod would compile its checks with `new Function`, which the server's content security
// policy forbids. It decides when the first schema is made, so this has to run before any module with a schema loads.
import { z } from 'zod'

z.config({ jitless: true })
await import('./app.tsx')
