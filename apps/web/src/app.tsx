// Puts the application together.
import { QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { queryClient } from './api.ts'
import { startLive } from './live/live.ts'
import { HintProvider } from './parts/hint.tsx'
import { startTheme } from './parts/theme.ts'
import { router } from './routes.tsx'

startTheme()
startLive()
createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <HintProvider>
        <RouterProvider router={router} />
      </HintProvider>
    </QueryClientProvider>
  </StrictMode>,
)
