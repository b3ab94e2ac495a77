// The web bundle: hashed assets in dist/, which the studio serves, compressed once here rather than at every request.
// `npm run dev` serves the sources instead and passes API requests on to a studio on its default port (or MISTUDIO_URL).
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin, type ProxyOptions } from 'vite'

const studio = process.env.MISTUDIO_URL ?? 'http://127.0.0.1:8484'
const outDir = 'dist'

export default defineConfig({
  plugins: [react(), tailwindcss(), compressed()],
  build: { outDir, emptyOutDir: true, sourcemap: false },
  server: { proxy: { '/api': { target: studio, ws: true, changeOrigin: true, configure: asOwnPage } } },
})

/** The studio answers its own pages alone. Pages of this server count as such; those from elsewhere keep their Origin. */
function asOwnPage(proxy: Parameters<NonNullable<ProxyOptions['configure']>>[0]): void {
  const pass = (outgoing: ClientRequest, { headers: { host, origin } }: IncomingMessage): void => {
    const own = /^http:\/\/(localhost|127\.0\.0\.1|\[::1\]):\d+$/.test(origin ?? '')
    if (own && origin === `http://${host}`) outgoing.setHeader('origin', studio)
  }
  proxy.on('proxyReq', pass)
  proxy.on('proxyReqWs', pass)
}

/** A .gz beside each asset. */
function compressed(): Plugin {
  return {
    name: 'compressed',
    apply: 'build',
    writeBundle({ dir = outDir }) {
      const assets = join(dir, 'assets')
      for (const name of readdirSync(assets)) {
        if (!/\.(js|css)$/.test(name)) continue
        const path = join(assets, name)
        writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }))
      }
    },
  }
}
