// ActionCache: results of earlier runs. Only this worker's own runs enter it: a result that anybody could put there
// would be an object file that nobody compiled.
import type { Digest } from '../../reapi/digest.ts';
import { GrpcError, grpcCode } from '../../reapi/errors.ts';
import { ActionResult, GetActionResultRequest, UpdateActionResultRequest } from '../../reapi/gen/remote_execution.ts';
import { unary, type Handler } from '../../reapi/server.ts';
import type { AuditEvent } from '../../observe/audit-log.ts';
import type { ActionCache } from '../../store/action-cache.ts';
import type { BlobStore } from '../../store/blob-store.ts';
import { understandAction } from '../actions/action-input.ts';
import type { Client, Clients } from './clients.ts';
import { packedFor } from './result-transport.ts';
import { checkDigestFunction, checkedDigest, servicePrefix } from './checks.ts';

export type ActionCacheWorld = {
  readonly store: BlobStore;
  readonly results: ActionCache;
  readonly clients: Clients;
  readonly audit: (event: AuditEvent) => void;
};

const path = (method: string): string => `${servicePrefix}.ActionCache/${method}`;

export function actionCacheService({ store, results, clients, audit }: ActionCacheWorld): readonly Handler[] {
  return [
    unary(
      { path: path('GetActionResult'), request: GetActionResultRequest, response: ActionResult },
      (request, { header, peer }) => {
        checkDigestFunction(request.digestFunction);
        const digest = checkedDigest(request.actionDigest, 'the action');
        const client = clients.of(peer);
        const result = mayAsk(client, digest) ? results.get(digest) : undefined;
        if (result === undefined) throw new GrpcError(grpcCode.NOT_FOUND, 'no result is known');
        client.give(result);
        return packedFor({ ...request, shoal: header('shoal-inline') === 'zstd' }, result, store.readNow);
      },
    ),
    unary(
      { path: path('UpdateActionResult'), request: UpdateActionResultRequest, response: ActionResult },
      (_request, { peer }) => {
        audit({ event: 'refused', peer, call: 'UpdateActionResult', why: 'results come from own runs only' });
        throw new GrpcError(grpcCode.PERMISSION_DENIED, 'only results of this worker’s own runs are cached');
      },
    ),
  ];
}

/** The result is for those who have all that it was made of: it tells about that. */
function mayAsk({ store, checkTree }: Client, digest: Digest): boolean {
  try {
    checkTree(understandAction(store, digest).inputRoot);
    return true;
  } catch {
    return false;
  }
}
