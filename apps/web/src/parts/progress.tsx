// A progress bar with its percentage.
import { Progress } from 'radix-ui'
import { formatProgress } from './format.ts'

/** @param props.share 0 to 1 @param props.label for screen readers */
export function ProgressBar({ share, label, small }: { share: number; label: string; small?: boolean }) {
  return (
    <div className="flex min-w-0 items-center gap-2">
      <Progress.Root
        value={Math.round(share * 100)}
        aria-label={label}
        className={`min-w-10 flex-1 overflow-hidden rounded-full bg-line ${small ? 'h-1.5' : 'h-2'}`}
      >
        <Progress.Indicator
          className="h-full rounded-full bg-accent-solid motion-safe:transition-[width] motion-safe:duration-500"
          style={{ width: `${Math.min(1, share) * 100}%` }}
        />
      </Progress.Root>
      <span className="w-11 shrink-0 text-right text-xs text-soft" data-testid="progress">
        {formatProgress(share)}
      </span>
    </div>
  )
}
