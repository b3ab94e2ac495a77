// The page's one socket, and the hooks through which components use it.
import { channelOf, type StudioEvent } from '@mistudio/contract'
import { useEffect, useState, useSyncExternalStore } from 'react'
import { queryClient } from '../api.ts'
import { applyEvents, applySnapshot, touchedBy } from './apply.ts'
import type { ConnectionState } from './connection.ts'
import { createStudioSocket, type StudioSocket } from './socket.ts'

const cache = queryClient
let shared: StudioSocket | undefined

function socket(): StudioSocket {
  shared ??= createStudioSocket({
    open: () => {
      const { protocol, host } = window.location
      return new WebSocket(`${protocol === 'https:' ? 'wss' : 'ws'}://${host}/api/v1/events`)
    },
  })
  return shared
}

/** Keeps lists up to date. Called once, when the application starts. */
export function startLive(): void {
  const live = socket()
  live.subscribe({
    channel: channelOf.jobs,
    onEvents: events => {
      for (const collection of touchedBy(events)) cache.invalidateQueries({ queryKey: [collection] })
    },
  })
  let lost = false
  live.onState(state => {
    if (state === 'lost') lost = true
    if (state !== 'open' || !lost) return
    lost = false
    cache.invalidateQueries()
  })
  window.addEventListener('online', live.retry)
}

export function useSocketState(): ConnectionState {
  return useSyncExternalStore(socket().onState, socket().state)
}

/** Keeps an entity in the cache up to date. @param channel null: nothing to follow */
export function useLive(channel: string | null): void {
  useEffect(() => {
    if (channel === null) return
    return socket().subscribe({
      channel,
      onEvents: events => applyEvents({ cache, channel, events }),
      onSnapshot: data => applySnapshot({ cache, channel, data }),
    })
  }, [channel])
}

/** All events of a channel, from its first one on; keeps the cache up to date as `useLive` does. */
export function useHistory(channel: string): StudioEvent[] {
  const [log, setLog] = useState<{ channel: string; events: StudioEvent[] }>({ channel, events: [] })
  useEffect(() => {
    setLog({ channel, events: [] })
    return socket().subscribe({
      channel,
      history: true,
      onEvents: events => {
        setLog(known => ({ channel, events: [...known.events, ...events] }))
        applyEvents({ cache, channel, events })
      },
    })
  }, [channel])
  return log.channel === channel ? log.events : []
}
