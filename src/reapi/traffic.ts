// What one build's calls send and receive over a connection that it shares with others: the messages as they travel,
// with gRPC's own framing. HTTP/2's is nobody's.
import type { Channel } from './grpc-client.ts';
import { frameHeadBytes } from './grpc-framing.ts';

export type Traffic = { sent: number; received: number };

const sizeOf = (message: Uint8Array): number => frameHeadBytes + message.length;

function* counted(requests: Iterable<Uint8Array>, traffic: Traffic): Generator<Uint8Array> {
  for (const request of requests) {
    traffic.sent += sizeOf(request);
    yield request;
  }
}

export function meteredChannel(channel: Channel, traffic: Traffic): Channel {
  const answered = (answer: Buffer): Buffer => {
    traffic.received += sizeOf(answer);
    return answer;
  };
  return {
    ...channel,
    unary: (path, request, options) => {
      traffic.sent += sizeOf(request);
      return channel.unary(path, request, options).then(answered);
    },
    serverStream: (path, request, options) => {
      traffic.sent += sizeOf(request);
      const onMessage = (message: Buffer): void => options.onMessage(answered(message));
      return channel.serverStream(path, request, { ...options, onMessage });
    },
    clientStream: (path, requests, options) =>
      channel.clientStream(path, counted(requests, traffic), options).then(answered),
  };
}
