// Why a connection could not be made, in words. Where a name has several addresses Node tries them all, and the text of its
// error is empty then.

export function connectFailure(error: Error): string {
  if (!(error instanceof AggregateError)) return error.message;
  return (error.errors as readonly unknown[])
    .map((one) => (one instanceof Error ? one.message : String(one)))
    .join(', ');
}
