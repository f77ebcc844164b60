// SPDX-License-Identifier: Apache-2.0
/**
 * Finds and loads the handler `folder/file.export.path` the way AWS's client does: `file` as it is, `file.js` (CommonJS
 * or, under a package.json of type module, ES module), `file.mjs`, `file.cjs`, and last as node itself would resolve it.
 */

'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const {
    HandlerNotFound,
    ImportModuleError,
    InvalidStreamingOperation,
    MalformedHandlerName,
    MalformedStreamingHandler,
    UserCodeSyntaxError,
} = require('./errors.cjs');

const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');
const PRELUDE_TYPE = 'application/vnd.awslambda.http-integration-response';
const PRELUDE_END = Buffer.alloc(8);

class HttpResponseStream {
    /** Makes a response stream that begins with status, headers and cookies, set apart by eight NUL bytes. */
    static from(stream, prelude) {
        if (typeof stream?.setContentType !== 'function') {
            throw new InvalidStreamingOperation('HttpResponseStream.from needs the response stream of the handler.');
        }
        stream.setContentType(PRELUDE_TYPE);
        stream._onBeforeFirstWrite = (write) => {
            write(JSON.stringify(prelude));
            write(PRELUDE_END);
        };
        return stream;
    }
}

function provideGlobal() {
    if (['1', 'true'].includes(process.env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA)) {
        return;
    }
    globalThis.awslambda = {
        streamifyResponse(handler, options) {
            handler[STREAMING] = 'response';
            if (typeof options?.highWaterMark === 'number') {
                handler[HIGH_WATER_MARK] = Math.trunc(options.highWaterMark);
            }
            return handler;
        },
        HttpResponseStream,
    };
}

/** Whether the nearest package.json above `folder` says that .js files are ES modules. */
function isModuleFolder(folder) {
    for (; !folder.endsWith('/node_modules'); folder = path.dirname(folder)) {
        const file = path.join(folder, 'package.json');
        if (fs.existsSync(file)) {
            try {
                return JSON.parse(fs.readFileSync(file, 'utf8'))?.type === 'module';
            } catch (error) {
                console.warn(`${file} cannot be read, it will be ignored for ES module detection purposes.`, error);
                return false;
            }
        }
        if (folder === '/') {
            return false;
        }
    }
    return false;
}

function requireFile(file) {
    return fs.existsSync(file) ? require(file) : undefined;
}

async function importFile(file) {
    return fs.existsSync(file) ? import(pathToFileURL(file).href) : undefined;
}

async function loadModule(root, folder, name) {
    const file = path.resolve(root, folder, name);
    const asIs = requireFile(file);
    if (asIs) {
        return asIs;
    }
    const scriptIsModule = fs.existsSync(file + '.js') && isModuleFolder(path.dirname(file));
    const loaded =
        (scriptIsModule ? await importFile(file + '.js') : requireFile(file + '.js')) ||
        (await importFile(file + '.mjs')) ||
        requireFile(file + '.cjs');
    return loaded || require(require.resolve(name, { paths: [root, folder] }));
}

function split(fullName) {
    if (fullName.includes('..')) {
        throw new MalformedHandlerName(
            `'${fullName}' is not a valid handler name. Use absolute paths when specifying root directories in ` +
                'handler names.',
        );
    }
    const last = path.basename(fullName);
    const match = last.match(/^([^.]*)\.(.*)$/);
    if (!match) {
        throw new MalformedHandlerName('Bad handler');
    }
    return { folder: fullName.slice(0, fullName.indexOf(last)), file: match[1], property: match[2] };
}

/** Loads the handler function, or throws one of AWS's Runtime.* errors or whatever the user's module throws. */
async function load(root, fullName) {
    const { folder, file, property } = split(fullName);
    provideGlobal();
    let loaded;
    try {
        loaded = await loadModule(root, folder, file);
    } catch (error) {
        if (error instanceof SyntaxError) {
            throw new UserCodeSyntaxError(error);
        }
        if (error?.code === 'MODULE_NOT_FOUND') {
            throw new ImportModuleError(error);
        }
        throw error;
    }
    const handler = property.split('.').reduce((value, key) => value && value[key], loaded);
    if (!handler) {
        throw new HandlerNotFound(`${fullName} is undefined or not exported`);
    }
    if (typeof handler !== 'function') {
        throw new HandlerNotFound(`${fullName} is not a function`);
    }
    return handler;
}

/** {streaming, highWaterMark} of a handler that awslambda.streamifyResponse may have marked. */
function metadata(handler) {
    const mark = handler[STREAMING] ?? false;
    if (mark !== false && mark !== 'response') {
        throw new MalformedStreamingHandler('Only response streaming is supported.');
    }
    const highWaterMark = Number.parseInt(handler[HIGH_WATER_MARK], 10);
    return { streaming: mark !== false, highWaterMark: Number.isNaN(highWaterMark) ? undefined : highWaterMark };
}

module.exports = { load, metadata };
