// The web bundle: hashed assets in dist/, which the studio serves. `npx vite` serves the sources instead and hands
// requests of the API to a studio on its default port (MISTUDIO_URL for another).
import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

const studio = process.env.MISTUDIO_URL ?? 'http://127.0.0.1:8484'

export default defineConfig({
  plugins: [react(), tailwindcss()],
  build: { outDir: 'dist', emptyOutDir: true, sourcemap: false },
  server: { proxy: { '/api': { target: studio, ws: true, changeOrigin: true } } },
})
