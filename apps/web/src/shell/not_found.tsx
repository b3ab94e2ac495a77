// In place of a page: there is none at this address, or it failed.
import { TextLink } from '../parts/button.tsx'
import { Page } from '../parts/page.tsx'

export const NotFound = () => (
  <Page title="Page not found">
    <p className="text-soft">
      Check the address, or <TextLink to="/">go to the home page</TextLink>.
    </p>
  </Page>
)

export const PageError = ({ error, reset }: { error: unknown; reset: () => void }) => (
  <Page title="This page could not be shown" problem={error} onRetry={reset}>
    {null}
  </Page>
)
