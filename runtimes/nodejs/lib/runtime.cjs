// SPDX-License-Identifier: Apache-2.0
/**
 * The course of an invocation: context, handler call, and which of the many ways of answering ends it.
 *
 * A handler answers by the promise it returns, by its callback, by context.succeed/fail/done, or by not answering at
 * all and letting the event loop run empty, which is null. A callback's result is sent only when the event loop is
 * empty, unless context.callbackWaitsForEmptyEventLoop is false. `emptyLoop` is what to do at the next `beforeExit`.
 * Only the first answer counts. The next event is asked for in the same write as the answer.
 */

'use strict';

const { toReport } = require('./errors.cjs');
const { metadata } = require('./loader.cjs');
const { logError, setInvocation } = require('./logs.cjs');

const nothing = () => {};

function parseHeader(text, name) {
    if (text === undefined) {
        return undefined;
    }
    try {
        return JSON.parse(text);
    } catch (error) {
        throw new Error(`Cannot parse ${name} as json: ${error.toString()}`);
    }
}

function serialize(result) {
    try {
        return JSON.stringify(result === undefined ? null : result) ?? 'null';
    } catch {
        throw new Error('Unable to stringify response body');
    }
}

function isPromise(value) {
    return value && typeof value.then === 'function';
}

class Runtime {
    constructor(api) {
        this.api = api;
        this.handler = null; // set when serving begins
        this.current = null; // {id, stream} from the arrival of an event to its answer
        this.emptyLoop = nothing;
        const env = process.env;
        this.trace = env._X_AMZN_TRACE_ID;
        // Changes with every event. The C library never frees what a variable was set to, so that a warm instance would grow
        // for ever; inherited, it is read, listed by `in` and handed to child processes as if it were set.
        delete env._X_AMZN_TRACE_ID;
        const trace = { get: () => this.trace, set: (value) => (this.trace = value), enumerable: true, configurable: true };
        Object.setPrototypeOf(env, Object.create(Object.getPrototypeOf(env), { _X_AMZN_TRACE_ID: trace }));
        this.fixed = {
            functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
            functionName: env.AWS_LAMBDA_FUNCTION_NAME,
            memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
            logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
            logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
        };
        process.on('beforeExit', () => this.emptyLoop());
    }

    serve(handler) {
        const { streaming, highWaterMark } = metadata(handler);
        if (streaming) {
            const { ResponseStream } = require('./stream.cjs');
            this.api.onEvent = (head, body) => this.#stream(head, body, ResponseStream, highWaterMark);
        } else {
            this.api.onEvent = (head, body) => this.#invoke(head, body);
        }
        // Not before what loading left behind has run: a rejection nobody handles still fails the start.
        setImmediate(() => {
            this.handler = handler;
            this.api.next();
        });
    }

    /** The process must end because of `error`: says so to whoever waits (the caller, or the start), and exits. */
    abort(error, status) {
        const exit = () => process.exit(status);
        const { current } = this;
        if (this.handler !== null && current === null) {
            return exit(); // between invocations nobody waits
        }
        if (current?.stream) {
            return current.stream.over ? exit() : current.stream.fail(error, exit);
        }
        const report = toReport(error);
        const path = current ? `invocation/${encodeURIComponent(current.id)}/error` : 'init/error';
        this.current = null;
        this.api.postLast(path, JSON.stringify(report), report.errorType, exit);
    }

    #begin(head) {
        const id = head.get('lambda-runtime-aws-request-id');
        this.current = { id, stream: null };
        setInvocation(id, head.get('lambda-runtime-aws-tenant-id'));
        const trace = head.get('lambda-runtime-trace-id');
        this.trace = trace || undefined;
        return id;
    }

    #fillContext(context, head) {
        const deadline = Number(head.get('lambda-runtime-deadline-ms'));
        return Object.assign(context, this.fixed, {
            clientContext: parseHeader(head.get('lambda-runtime-client-context'), 'ClientContext'),
            identity: parseHeader(head.get('lambda-runtime-cognito-identity'), 'CognitoIdentity'),
            invokedFunctionArn: head.get('lambda-runtime-invoked-function-arn'),
            awsRequestId: head.get('lambda-runtime-aws-request-id'),
            tenantId: head.get('lambda-runtime-aws-tenant-id'),
            getRemainingTimeInMillis: () => deadline - Date.now(),
        });
    }

    #respond(id, result) {
        const body = serialize(result); // throws before anything is sent or forgotten
        this.emptyLoop = nothing;
        this.current = null;
        this.api.settle(`invocation/${encodeURIComponent(id)}/response`, body);
    }

    #fail(id, error) {
        logError('Invoke Error', error);
        const report = toReport(error);
        this.emptyLoop = nothing;
        this.current = null;
        this.api.settle(`invocation/${encodeURIComponent(id)}/error`, JSON.stringify(report), report.errorType);
    }

    #invoke(head, body) {
        const id = this.#begin(head);
        let waits = true;
        let answered = false; // the handler has said what the answer is
        const first = (act) => (...args) => {
            if (!answered) {
                act(...args);
                answered = true;
            }
        };
        const done = (error, result) => {
            this.emptyLoop = nothing;
            if (error !== undefined && error !== null) {
                this.#fail(id, error);
            } else {
                this.#respond(id, result);
            }
        };
        const callback = first((error, result) => {
            if (!waits || (error !== undefined && error !== null)) {
                return done(error, result);
            }
            this.emptyLoop = () => {
                this.emptyLoop = nothing;
                // In the loop again, and a result that is no JSON fails the invocation rather than the process.
                setImmediate(() => {
                    try {
                        this.#respond(id, result);
                    } catch (problem) {
                        this.#fail(id, problem);
                    }
                });
            };
        });
        const context = {
            get callbackWaitsForEmptyEventLoop() {
                return waits;
            },
            set callbackWaitsForEmptyEventLoop(value) {
                waits = value;
            },
            succeed: first((result) => done(null, result)),
            fail: first((error) => done(error ?? 'handled', null)),
            done: first(done),
        };
        this.emptyLoop = () => {
            answered = true;
            setImmediate(() => this.#respond(id, null));
            this.emptyLoop = nothing;
        };
        try {
            const result = this.handler(JSON.parse(body), this.#fillContext(context, head), callback);
            if (isPromise(result)) {
                result.then(context.succeed, context.fail).catch(context.fail);
            }
        } catch (error) {
            callback(error);
        }
    }

    async #stream(head, body, ResponseStream, highWaterMark) {
        const id = this.#begin(head);
        const stream = new ResponseStream(this.api, id, highWaterMark);
        this.current.stream = stream;
        let waits = true;
        const context = {
            get callbackWaitsForEmptyEventLoop() {
                return waits;
            },
            set callbackWaitsForEmptyEventLoop(value) {
                waits = value;
            },
        };
        let ended = false; // a promise may still settle after the loop ran empty
        const next = () => {
            this.emptyLoop = nothing;
            this.current = null;
            this.api.next();
        };
        const fail = (error) => {
            if (!ended) {
                ended = true;
                logError('Invoke Error', error);
                stream.fail(error, next);
            }
        };
        this.emptyLoop = () => {
            this.emptyLoop = nothing;
            fail('Response stream is not finished.');
        };
        try {
            const promise = this.handler(JSON.parse(body), stream, this.#fillContext(context, head));
            if (!isPromise(promise)) {
                return fail('Streaming does not support non-async handlers.');
            }
            if ((await promise) !== undefined) {
                console.warn('Streaming handlers ignore return values.');
            }
        } catch (error) {
            return fail(error);
        }
        const finish = () => {
            if (ended) {
                return;
            }
            ended = true;
            if (waits) {
                this.emptyLoop = () => setImmediate(next);
            } else {
                next();
            }
        };
        if (stream.over) {
            finish();
        } else {
            stream.once('finish', finish); // or the loop runs empty before, which is a failure
        }
    }
}

module.exports = { Runtime };
