<?php

// An event function: called with a string of bytes, answers with a string or anything that JSON can hold.

function handler($event, $context)
{
    $name = json_decode($event, true)['name'] ?? 'world';
    $GLOBALS['fcLogger']->info("greeting $name");
    return ['greeting' => "Hello, $name!", 'requestId' => $context['requestId']];
}
