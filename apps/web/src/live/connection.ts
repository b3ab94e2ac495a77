// A WebSocket that reconnects by itself, for ever, and says whether it is there.

/** `lost`: disconnected, and trying to reconnect. */
export type ConnectionState = 'connecting' | 'open' | 'lost'

/** The part of WebSocket that is used here. */
export type RawSocket = Pick<WebSocket, 'send' | 'close' | 'readyState' | 'addEventListener'>

export type Connection = {
  /** Dropped while there is no connection. */
  send(text: string): void
  state(): ConnectionState
  /** @returns a function that removes the listener */
  onState(listener: (state: ConnectionState) => void): () => void
  /** Reconnects now rather than after the current delay. */
  retry(): void
  close(): void
}

/** Delays between attempts; the last one repeats. */
export const retryDelaysMs = [1000, 2000, 3000, 4000, 5000]

const openState = 1

/** @param options.onOpen called at every connection, before its listeners learn of it */
export function createConnection(options: {
  open: () => RawSocket
  onOpen: () => void
  onMessage: (text: string) => void
}): Connection {
  const listeners = new Set<(state: ConnectionState) => void>()
  let socket: RawSocket | undefined
  let state: ConnectionState = 'connecting'
  let failures = 0
  let retryTimer: ReturnType<typeof setTimeout> | undefined
  let closed = false

  function move(next: ConnectionState): void {
    if (next === state) return
    state = next
    for (const listener of [...listeners]) listener(state)
  }

  function connect(): void {
    clearTimeout(retryTimer)
    retryTimer = undefined
    const own = options.open()
    socket = own
    own.addEventListener('open', () => {
      if (socket !== own) return
      options.onOpen()
      move('open')
    })
    own.addEventListener('message', event => {
      if (socket !== own) return
      // Reset here and not on open: a server that hangs up at once should not be retried every second.
      failures = 0
      options.onMessage(String((event as MessageEvent).data))
    })
    own.addEventListener('close', () => {
      if (socket !== own || closed) return
      socket = undefined
      move('lost')
      retryTimer = setTimeout(connect, retryDelaysMs[Math.min(failures++, retryDelaysMs.length - 1)])
    })
  }

  connect()
  return {
    send(text) {
      if (socket?.readyState === openState) socket.send(text)
    },
    state: () => state,
    onState(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    retry() {
      if (!closed && socket === undefined) connect()
    },
    close() {
      closed = true
      clearTimeout(retryTimer)
      socket?.close()
    },
  }
}
