<?php

// Symfony Mailer, which is what Laravel sends by, as Debian packages it.

use Symfony\Component\Mailer\Exception\TransportExceptionInterface;
use Symfony\Component\Mailer\Transport\Smtp\EsmtpTransport;
use Symfony\Component\Mime\Email;

require 'Symfony/Component/Mailer/autoload.php';

$transport = new EsmtpTransport(getenv('SMTP_HOST'), (int) getenv('SMTP_PORT'));
if (getenv('SMTP_TLS')) {
    // This version takes STARTTLS wherever it is offered.
    $transport->getStream()->setStreamOptions(['ssl' => ['verify_peer' => false, 'verify_peer_name' => false]]);
}

$mail = (new Email())
    ->from(getenv('MAIL_FROM'))
    ->to(...explode(',', getenv('MAIL_TO')))
    ->subject(getenv('MAIL_SUBJECT'))
    ->text('Hello from Symfony');

try {
    $sent = $transport->send($mail);
    preg_match('/^< 250 2\.0\.0 (.*)$/m', $sent->getDebug(), $answer);
    echo "accepted\t", trim($answer[1]), "\n";
} catch (TransportExceptionInterface $error) {
    fwrite(STDERR, "$error\n");
    echo implode("\t", ['refused', $error->getCode(), (new ReflectionClass($error))->getShortName(), preg_replace('/\s+/', ' ', $error->getMessage())]), "\n";
}
