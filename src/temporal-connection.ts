import { InterceptingCall, Metadata, status, type Interceptor } from '@grpc/grpc-js';
import { defaultGrpcRetryOptions, makeGrpcRetryInterceptor } from '@temporalio/client';

type Call = ReturnType<Parameters<Interceptor>[1]>;

/** A call that was never sent: its connection is closed. */
function endedCall(details: string): InterceptingCall {
  const nothing = (): void => undefined;
  const inert: Call = {
    cancelWithStatus: nothing,
    getPeer: () => 'closed',
    start: nothing,
    sendMessageWithContext: nothing,
    sendMessage: nothing,
    startRead: nothing,
    halfClose: nothing,
    getAuthContext: () => null,
  };
  return new InterceptingCall(inert, {
    start: (_metadata, listener) => listener.onReceiveStatus({ code: status.CANCELLED, details, metadata: new Metadata() }),
    sendMessage: nothing,
    halfClose: nothing,
    cancel: nothing,
  });
}

const endWithChannel: Interceptor = (options, next) => {
  try {
    return new InterceptingCall(next(options));
  } catch (error) {
    return endedCall(String(error));
  }
};

/**
 * What a client's connection to Temporal is opened with: the SDK's own retries, and behind them what they lack. A retry that falls due after
 * the connection was closed throws where nobody can catch it, and takes the process with it; here it is CANCELLED, which is not tried again.
 */
export const INTERCEPTORS: Interceptor[] = [makeGrpcRetryInterceptor(defaultGrpcRetryOptions()), endWithChannel];
