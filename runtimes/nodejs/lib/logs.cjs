// SPDX-License-Identifier: Apache-2.0
/**
 * console.* in AWS's formats: `<time>\t<request id>\tLEVEL\tmessage`, or one JSON object per line with
 * AWS_LAMBDA_LOG_FORMAT=JSON. AWS_LAMBDA_LOG_LEVEL silences the levels below it. Newlines inside a record become
 * carriage returns, so that it stays one record. The request id lives under the global symbol that logging libraries
 * read on AWS.
 */

'use strict';

const { format } = require('node:util');
const { intoError, toLogText } = require('./errors.cjs');

const REQUEST_ID = Symbol.for('aws.lambda.runtime.requestId');
const TENANT_ID = Symbol.for('aws.lambda.runtime.tenantId');
const LEVELS = { TRACE: 1, DEBUG: 2, INFO: 3, WARN: 4, ERROR: 5, FATAL: 6 };

function setInvocation(requestId, tenantId) {
    globalThis[REQUEST_ID] = requestId;
    globalThis[TENANT_ID] = tenantId;
}

// What the lane has to know: whether something was printed in the invocation under way.
const output = { printed: false };

/** Notes what is written to standard output and error, from the first time that somebody takes the stream. */
function watchStreams() {
    for (const name of ['stdout', 'stderr']) {
        const property = Object.getOwnPropertyDescriptor(process, name);
        let known;
        const get = () => {
            const stream = property.get.call(process);
            if (stream !== known) {
                known = stream;
                const { write } = stream;
                stream.write = function (...args) {
                    output.printed = true;
                    return write.apply(this, args);
                };
            }
            return stream;
        };
        Object.defineProperty(process, name, { ...property, get });
    }
}

let json = false; // set by patchConsole: a blank gets its environment after this file was loaded

function write(line) {
    process.stdout.write(line.replace(/\n/g, '\r') + '\n');
}

function logText(level, ...params) {
    write(`${new Date().toISOString()}\t${globalThis[REQUEST_ID]}\t${level}\t${format(...params)}`);
}

function errorFields(error) {
    return {
        errorType: error?.constructor?.name ?? 'UnknownError',
        errorMessage: error.message,
        stackTrace: typeof error.stack === 'string' ? error.stack.split('\n') : error.stack,
    };
}

function replaceErrors(_key, value) {
    return value instanceof Error ? { ...errorFields(value), ...value } : value;
}

function logJson(level, ...params) {
    const record = { timestamp: new Date().toISOString(), level, requestId: globalThis[REQUEST_ID] };
    if (globalThis[TENANT_ID] != null) {
        record.tenantId = globalThis[TENANT_ID];
    }
    if (params.length === 1) {
        record.message = params[0];
        try {
            return write(JSON.stringify(record, replaceErrors));
        } catch {
            record.message = format(params[0]); // circular, or with a BigInt
            return write(JSON.stringify(record));
        }
    }
    record.message = format(...params);
    const error = params.find((param) => param instanceof Error);
    write(JSON.stringify(error ? { ...record, ...errorFields(error) } : record));
}

function patchConsole() {
    watchStreams();
    json = process.env.AWS_LAMBDA_LOG_FORMAT?.toUpperCase() === 'JSON';
    const log = json ? logJson : logText;
    const least = LEVELS[process.env.AWS_LAMBDA_LOG_LEVEL?.toUpperCase()] ?? LEVELS.TRACE;
    const at = (level) => (LEVELS[level] >= least ? (...params) => log(level, ...params) : () => {});
    console.trace = at('TRACE');
    console.debug = at('DEBUG');
    console.info = console.log = at('INFO');
    console.warn = at('WARN');
    console.error = at('ERROR');
    console.fatal = at('FATAL');
}

/** Logs an error that ends an invocation or the process. */
function logError(what, error) {
    if (json) {
        console.error(intoError(error));
    } else {
        console.error(what, toLogText(intoError(error)));
    }
}

module.exports = { output, setInvocation, patchConsole, logError };
