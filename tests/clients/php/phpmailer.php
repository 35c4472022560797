<?php

// PHPMailer by SMTP, as Debian packages it.

use PHPMailer\PHPMailer\Exception;
use PHPMailer\PHPMailer\PHPMailer;

foreach (['Exception', 'PHPMailer', 'SMTP'] as $file) {
    require "libphp-phpmailer/src/$file.php";
}

$mail = new PHPMailer(true);
$mail->isSMTP();
$mail->Host = getenv('SMTP_HOST');
$mail->Port = (int) getenv('SMTP_PORT');
if (getenv('SMTP_TLS') === 'never') {
    $mail->SMTPAutoTLS = false;
} elseif (getenv('SMTP_TLS') === 'require') {
    $mail->SMTPSecure = PHPMailer::ENCRYPTION_STARTTLS;
    $mail->SMTPOptions = ['ssl' => ['verify_peer' => false, 'verify_peer_name' => false]];
}
$mail->setFrom(getenv('MAIL_FROM'));
foreach (explode(',', getenv('MAIL_TO')) as $address) {
    $mail->addAddress($address);
}
$mail->Subject = getenv('MAIL_SUBJECT');
$mail->Body = 'Hello from PHPMailer';

try {
    $mail->send();
    echo "accepted\t", $mail->getSMTPInstance()->getLastTransactionID() ?: '', "\n";
} catch (Exception $error) {
    fwrite(STDERR, "$error\n");
    $code = $mail->getSMTPInstance()->getError()['smtp_code'];
    echo implode("\t", ['refused', $code, (new ReflectionClass($error))->getShortName(), preg_replace('/\s+/', ' ', $error->getMessage())]), "\n";
}
