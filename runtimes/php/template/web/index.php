<?php

// An HTTP function: gets a PSR-7 request, answers with a PSR-7 response.

use RingCentral\Psr7\Response;

function handler($request, $context): Response
{
    $path = htmlspecialchars($request->getAttribute('path'));
    $query = htmlspecialchars($request->getUri()->getQuery() ?: 'no query');
    $page = "<!doctype html><title>pyfc</title><h1>$path</h1><p>$query</p>\n";
    return new Response(200, ['Content-Type' => 'text/html; charset=utf-8'], $page);
}
