// nodemailer by SMTP.
const nodemailer = require("nodemailer");

const { MAIL_FROM, MAIL_SUBJECT, MAIL_TO, SMTP_HOST, SMTP_PORT, SMTP_TLS } = process.env;
const tls = {
  never: { ignoreTLS: true },
  require: { requireTLS: true, tls: { rejectUnauthorized: false } },
};
const transport = nodemailer.createTransport({ host: SMTP_HOST, port: Number(SMTP_PORT), ...tls[SMTP_TLS] });

const refused = (error) =>
  console.log(["refused", error.responseCode, `${error.name} ${error.code}`, error.message].join("\t"));

transport
  .sendMail({ from: MAIL_FROM, to: MAIL_TO, subject: MAIL_SUBJECT, text: "Hello from nodemailer" })
  .then((info) => {
    console.log(`accepted\t${info.response}`);
    (info.rejectedErrors ?? []).forEach(refused);
  })
  .catch((error) => {
    console.error(error);
    refused(error);
  });
