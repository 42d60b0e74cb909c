// ActionCache: results of earlier runs. Only this worker's own runs enter it: a result that anybody could put there
// would be an object file that nobody compiled.
import { GrpcError, grpcCode } from '../../reapi/errors.ts';
import { ActionResult, GetActionResultRequest, UpdateActionResultRequest } from '../../reapi/gen/remote_execution.ts';
import { unary, type Handler } from '../../reapi/server.ts';
import type { ActionCache } from '../../store/action-cache.ts';
import type { BlobStore } from '../../store/blob-store.ts';
import { packedFor } from '../result-transport.ts';
import { checkDigestFunction, checkedDigest, servicePrefix } from './checks.ts';

export type ActionCacheWorld = { readonly store: BlobStore; readonly results: ActionCache };

const path = (method: string): string => `${servicePrefix}.ActionCache/${method}`;

export function actionCacheService({ store, results }: ActionCacheWorld): readonly Handler[] {
  return [
    unary(
      { path: path('GetActionResult'), request: GetActionResultRequest, response: ActionResult },
      (request, { header }) => {
        checkDigestFunction(request.digestFunction);
        const result = results.get(checkedDigest(request.actionDigest, 'the action'));
        if (result === undefined) throw new GrpcError(grpcCode.NOT_FOUND, 'no result is known');
        return packedFor({ ...request, shoal: header('shoal-inline') === 'zstd' }, result, store.readNow);
      },
    ),
    unary({ path: path('UpdateActionResult'), request: UpdateActionResultRequest, response: ActionResult }, () => {
      throw new GrpcError(grpcCode.PERMISSION_DENIED, 'only results of this worker’s own runs are cached');
    }),
  ];
}
