// Says that a list is longer than what is shown.
import { formatCount } from './format.ts'

export const More = ({ page }: { page: { data: unknown[]; pagination: { total: number } } }) =>
  page.pagination.total > page.data.length ? (
    <p className="mt-2 text-xs text-mute">
      The newest {formatCount(page.data.length)} of {formatCount(page.pagination.total)}.
    </p>
  ) : null
