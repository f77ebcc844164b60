// SPDX-License-Identifier: Apache-2.0
/** Error classes with AWS's Runtime.* names, and the shapes in which errors are reported and logged. */

'use strict';

const { types } = require('node:util');

function runtimeError(name) {
    const { [name]: errorClass } = { [name]: class extends Error {} }; // the class's own name shows in JSON logs
    errorClass.prototype.name = `Runtime.${name}`;
    return errorClass;
}

const ImportModuleError = runtimeError('ImportModuleError');
const HandlerNotFound = runtimeError('HandlerNotFound');
const MalformedHandlerName = runtimeError('MalformedHandlerName');
const UserCodeSyntaxError = runtimeError('UserCodeSyntaxError');
const MalformedStreamingHandler = runtimeError('MalformedStreamingHandler');
const InvalidStreamingOperation = runtimeError('InvalidStreamingOperation');

class UnhandledPromiseRejection extends Error {
    constructor(reason, promise) {
        super(reason);
        this.reason = reason;
        this.promise = promise;
    }
}
UnhandledPromiseRejection.prototype.name = 'Runtime.UnhandledPromiseRejection';

function looksLikeError(value) {
    return value && [value.name, value.message, value.stack].every((part) => part && typeof part === 'string');
}

// AWS replaces DEL, which its own log pipeline does not let through.
const clean = (text) => text?.replace(/\x7f/g, '%7F');

/** The body of an error post: {errorType, errorMessage, trace}. Never throws. */
function toReport(error) {
    try {
        if (types.isNativeError(error) || looksLikeError(error)) {
            return {
                errorType: clean(error.name),
                errorMessage: clean(error.message),
                trace: clean(error.stack).split('\n'),
            };
        }
        return { errorType: typeof error, errorMessage: error.toString(), trace: [] };
    } catch {
        return {
            errorType: 'handled',
            errorMessage:
                'callback called with Error argument, but there was a problem while retrieving one or more of ' +
                'its message, name, and stack',
        };
    }
}

function intoError(value) {
    return value instanceof Error ? value : new Error(value);
}

function enumerable(value) {
    if (!(value instanceof Error)) {
        return value;
    }
    const plain = { errorType: value.name, errorMessage: value.message, code: value.code, ...value };
    if (typeof value.stack === 'string') {
        plain.stack = value.stack.split('\n');
    }
    return plain;
}

/** The error as it stands behind a tab in a text log line. */
function toLogText(error) {
    try {
        return '\t' + JSON.stringify(error, (_key, value) => enumerable(value));
    } catch {
        return '\t' + JSON.stringify(toReport(error));
    }
}

module.exports = {
    ImportModuleError,
    HandlerNotFound,
    MalformedHandlerName,
    UserCodeSyntaxError,
    MalformedStreamingHandler,
    InvalidStreamingOperation,
    UnhandledPromiseRejection,
    toReport,
    intoError,
    toLogText,
};
