// The AWS SDK for Java 2, SES v2.

import software.amazon.awssdk.services.sesv2.SesV2Client;
import software.amazon.awssdk.services.sesv2.model.SesV2Exception;

public class SesV2 {
    public static void main(String[] arguments) {
        try (var ses = SesV2Client.create()) {
            var answer = ses.sendEmail(mail -> mail
                    .fromEmailAddress(System.getenv("MAIL_FROM"))
                    .destination(to -> to.toAddresses(System.getenv("MAIL_TO").split(",")))
                    .content(content -> content.simple(simple -> simple
                            .subject(subject -> subject.data(System.getenv("MAIL_SUBJECT")))
                            .body(body -> body.text(text -> text.data("Hello from Java"))))));
            System.out.println("accepted\t" + answer.messageId());
        } catch (SesV2Exception error) {
            error.printStackTrace();
            var name = error.getClass().getSimpleName();
            System.out.println(String.join("\t", "refused", "" + error.statusCode(), name, error.getMessage()));
        }
    }
}
