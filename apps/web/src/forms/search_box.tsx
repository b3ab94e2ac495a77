// A search field that searches when the typing pauses, and clears on Escape.
import { Search } from 'lucide-react'
import { type Ref, useEffect, useRef, useState } from 'react'

const pauseMs = 250

export function SearchBox(props: {
  label: string
  value: string
  placeholder?: string
  onSearch: (text: string) => void
  ref?: Ref<HTMLInputElement>
}) {
  const { label, value, placeholder = label, onSearch, ref } = props
  const [text, setText] = useState(value)
  const asked = useRef(value)
  const search = useRef(onSearch)
  search.current = onSearch
  // The address was changed by something other than typing: a link, or the browser's back button.
  useEffect(() => {
    if (value !== asked.current) setText(value)
    asked.current = value
  }, [value])
  useEffect(() => {
    if (text === asked.current) return
    const timer = setTimeout(() => {
      asked.current = text
      search.current(text)
    }, pauseMs)
    return () => clearTimeout(timer)
  }, [text])
  return (
    <div className="relative">
      <Search aria-hidden className="pointer-events-none absolute top-2.5 left-2.5 size-4 text-mute" />
      <input
        ref={ref}
        type="search"
        aria-label={label}
        placeholder={placeholder}
        maxLength={200}
        value={text}
        onChange={event => setText(event.target.value)}
        onKeyDown={event => event.key === 'Escape' && setText('')}
        className="field-box pl-8.5"
      />
    </div>
  )
}
