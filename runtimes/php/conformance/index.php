<?php

// The functions of the conformance kit, which runtimes/README.md describes.

use RingCentral\Psr7\Response;

$initialized = false;

function initialize($context)
{
    $GLOBALS['initialized'] = true;
}

function freeze($context)
{
    echo "preFreeze ran\n";
}

function stop($context)
{
    echo "preStop ran\n";
}

function echo_back($event, $context)
{
    return $event;
}

function fault($event, $context)
{
    throw new InvalidArgumentException($event);
}

function slow($event, $context)
{
    usleep((int) $event * 1000);
    return 'slept';
}

function log_line($event, $context)
{
    echo "printed $event\n";
    $GLOBALS['fcLogger']->error("logged $event");
    return 'done';
}

function init($event, $context)
{
    global $initialized;
    return $initialized ? 'initialized' : 'not initialized';
}

function binary($event, $context)
{
    return implode('', array_map('chr', range(0, 255)));
}

function big($event, $context)
{
    return str_repeat('x', strlen($event) + 1);
}

function context($event, $context)
{
    return [
        'requestId' => $context['requestId'], 'function' => $context['function']['name'],
        'handler' => $context['function']['handler'], 'memory' => $context['function']['memory'],
        'timeout' => $context['function']['timeout'], 'service' => $context['service']['name'],
        'qualifier' => $context['service']['qualifier'], 'region' => $context['region'],
        'accountId' => $context['accountId'], 'accessKeyId' => $context['credentials']['accessKeyId'],
    ];
}

function hooks($event, $context)
{
    return 'done';
}

function http($request, $context): Response
{
    $answer = [
        'method' => $request->getMethod(), 'path' => $request->getAttribute('path'),
        'query' => $request->getUri()->getQuery(), 'header' => $request->getHeaderLine('x-sent'),
        'body' => $request->getBody()->getContents(),
    ];
    $headers = ['Content-Type' => 'application/json', 'X-Conformance' => 'yes', 'Set-Cookie' => ['a=1', 'b=2']];
    return new Response(201, $headers, json_encode($answer));
}

function stream($request, $context): Response
{
    $pieces = (function () {
        yield "one\n";
        usleep(500000);
        yield "two\n";
    })();
    return new Response(200, ['Content-Type' => 'text/plain'], $pieces);
}

function unread($request, $context): Response
{
    return new Response(200, [], 'unread');
}

function pieces($request, $context): Response
{
    $count = (int) $request->getUri()->getQuery();
    $pieces = (function () use ($count) {
        for ($number = 0; $number < $count; $number++) {
            yield str_repeat('x', 65536);
        }
    })();
    return new Response(200, [], $pieces);
}

function digest($request, $context): Response
{
    return new Response(200, [], hash('sha256', $request->getBody()->getContents()));
}

function heads($request, $context): Response
{
    return new Response(200, ['X-Large' => str_repeat('x', (int) $request->getUri()->getQuery())], 'heads');
}
