// The AWS SDK for JavaScript, SES v2.
const { SESv2Client, SendEmailCommand, SESv2ServiceException } = require("@aws-sdk/client-sesv2");

const { MAIL_FROM, MAIL_SUBJECT, MAIL_TO } = process.env;
const command = new SendEmailCommand({
  FromEmailAddress: MAIL_FROM,
  Destination: { ToAddresses: MAIL_TO.split(",") },
  Content: { Simple: { Subject: { Data: MAIL_SUBJECT }, Body: { Text: { Data: "Hello from JavaScript" } } } },
});

new SESv2Client()
  .send(command)
  .then((answer) => console.log(`accepted\t${answer.MessageId}`))
  .catch((error) => {
    console.error(error);
    if (!(error instanceof SESv2ServiceException)) throw error;
    console.log(["refused", error.$metadata.httpStatusCode, error.name, error.message].join("\t"));
  });
