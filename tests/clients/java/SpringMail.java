// Spring's JavaMailSender, which is Jakarta Mail by SMTP.

import java.util.Properties;
import org.eclipse.angus.mail.smtp.SMTPAddressFailedException;
import org.springframework.mail.MailSendException;
import org.springframework.mail.SimpleMailMessage;
import org.springframework.mail.javamail.JavaMailSenderImpl;

public class SpringMail {
    public static void main(String[] arguments) {
        var sender = new JavaMailSenderImpl();
        sender.setHost(System.getenv("SMTP_HOST"));
        sender.setPort(Integer.parseInt(System.getenv("SMTP_PORT")));
        if ("require".equals(System.getenv("SMTP_TLS"))) {
            Properties properties = sender.getJavaMailProperties();
            properties.setProperty("mail.smtp.starttls.required", "true");
            properties.setProperty("mail.smtp.ssl.trust", "*");
        }
        var message = new SimpleMailMessage();
        message.setFrom(System.getenv("MAIL_FROM"));
        message.setTo(System.getenv("MAIL_TO").split(","));
        message.setSubject(System.getenv("MAIL_SUBJECT"));
        message.setText("Hello from Spring");
        try {
            sender.send(message);
            System.out.println("accepted");
        } catch (MailSendException error) {
            error.printStackTrace();
            var text = error.getMessage().replaceAll("\\s+", " ");
            System.out.println(String.join("\t", "refused", code(error), "MailSendException", text));
        }
    }

    /** The code of SMTP, which the exception has in one of its causes. */
    private static String code(MailSendException error) {
        for (Exception message : error.getMessageExceptions()) {
            for (Exception cause = message; cause instanceof jakarta.mail.MessagingException next; cause = next.getNextException()) {
                if (cause instanceof SMTPAddressFailedException failed) {
                    return String.valueOf(failed.getReturnCode());
                }
            }
        }
        return "";
    }
}
